/** Where files are dropped; its button chooses them, with a keyboard or a finger, too. */

import { useEffect, useRef, useState } from "preact/hooks";
import { t, type Word } from "./words";

interface DropProps {
  /** What stands before the button, and what on it. */
  words: [before: Word, button: Word];
  accept: string;
  /** Whether several are wanted at once. */
  several?: boolean;
  /** Is given what was dropped or chosen; dropped text or links are no files. */
  take: (files: File[]) => void;
}

const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;

/** A file that is dropped beside the field is meant for it: a browser would leave the page for it. */
export function keepFilesFromReplacingThePage(): void {
  for (const event of ["dragover", "drop"] as const) {
    addEventListener(event, (dragged) => carriesFiles(dragged) && dragged.preventDefault());
  }
}

export function Drop(props: DropProps) {
  const [before, button] = props.words;
  const field = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const given = (files?: FileList | null) => props.take([...(files ?? [])]);
  const latest = useRef(given);
  latest.current = given;
  useEffect(() => {
    const dropped = (event: DragEvent) => {
      // What was dropped on the field is taken by then.
      if (carriesFiles(event) && !event.defaultPrevented) latest.current(event.dataTransfer?.files);
    };
    document.addEventListener("drop", dropped);
    return () => document.removeEventListener("drop", dropped);
  }, []);
  return (
    <div
      class={over ? "drop over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        given(event.dataTransfer?.files);
      }}
    >
      <p>{t(before)}</p>
      <button class="main" onClick={() => field.current!.click()}>
        {t(button)}
      </button>
      <input
        ref={field}
        type="file"
        accept={props.accept}
        multiple={props.several}
        hidden
        onChange={(event) => {
          given(event.currentTarget.files);
          event.currentTarget.value = "";
        }}
      />
    </div>
  );
}
