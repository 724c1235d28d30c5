/** Records as the service and the browser package write them, schema mien/2. */

import type { FaceRecord, PictureRecord as DeviceRecord } from "mien-web";
import numbers from "../../packages/mien/models/numbers.json";

export const SCHEMA = numbers.records.schema;

export type Face = FaceRecord;
export type Values = Record<string, number>;

/** A picture's record. An unreadable one has `status` "error", the `reason` and no size. */
export type PictureRecord = Omit<DeviceRecord, "status" | "width" | "height"> & {
  status: DeviceRecord["status"] | "error";
  width: number | null;
  height: number | null;
  reason?: string;
};
