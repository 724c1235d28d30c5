/** People with a recogniser of their own: at the service, or in this browser alone. */

import * as own from "./own";
import type { PictureRecord } from "./record";
import * as service from "./service";
import type { Place } from "./settings";

/** What both places do; `docs/serve.md` tells it of the service's routes. */
export interface People {
  persons(): Promise<service.Person[]>;
  begin(name: string, consent: string): Promise<service.Person>;
  addSamples(name: string, label: string, pictures: Blob[], shown?: string): Promise<service.Taken>;
  train(name: string): Promise<service.Trained>;
  test(name: string): Promise<service.Tested>;
  /** What the last test told; null where there was none since the recogniser was made. */
  lastTest(name: string): Promise<service.Tested | null>;
  removePerson(name: string): Promise<unknown>;
  exportPerson(name: string): Promise<Blob>;
  analyze(picture: Blob, person: string): Promise<PictureRecord>;
}

export const people = (where: Place): People => (where === "device" ? own : service);
