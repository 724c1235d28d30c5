/** Records as files, as `mien analyze` writes them; and how a file is handed to a person. */

import type { Face, PictureRecord } from "./record";

/** Hand a file to the browser's downloads. */
export function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const saveText = (text: string, name: string, kind: string) =>
  save(new Blob([text], { type: `${kind};charset=utf-8` }), name);

export function jsonLines(records: PictureRecord[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}

const NAMED = 3;

/** The first of the files' names, with dots where there are more. */
export const namesOf = (files: File[]) =>
  files.slice(0, NAMED).map((file) => file.name).join(", ") + (files.length > NAMED ? " …" : "");

const MARK = "\ufeff"; // so that spreadsheets read it as UTF-8

/** A row for each face, and one for a record without: `docs/columns.md` explains the columns. */
export function csv(records: PictureRecord[]): string {
  const first = records.find((record) => record.faces.length)?.faces[0];
  const labels = Object.keys(first?.emotions ?? {});
  const measures = Object.keys(first?.quality ?? {});
  const head = [
    ...["source", "frame", "time_s", "status", "reason", "face", "track"],
    ...["x0", "y0", "x1", "y1", "score", "top", "picture_quality", "uncertain"],
    ...labels,
    ...labels.map((name) => `intensity_${name}`),
    ...measures.map((name) => `quality_${name}`),
    ...["width", "height", "prediction_set"],
  ];
  const ofFace = (face: Face, index: number) => [
    ...[index, face.track, ...face.box, face.score, face.top, face.picture_quality],
    face.uncertain ? "TRUE" : "FALSE",
    ...labels.map((name) => face.emotions[name]),
    ...labels.map((name) => face.intensity?.[name]),
    ...measures.map((name) => face.quality[name as keyof Face["quality"]]),
  ];
  const rows = records.flatMap((record) => {
    const { source, frame, time_s, status, reason, width, height } = record;
    const faces = record.faces.map(ofFace);
    if (!faces.length) faces.push(Array(8 + 2 * labels.length + measures.length + 2).fill(null));
    return faces.map((face) => [source, frame, time_s, status, reason, ...face, width, height, null]);
  });
  return MARK + [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value: unknown): string {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
