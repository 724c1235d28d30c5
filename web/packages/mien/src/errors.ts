/** What this package throws; its message says what came, what was expected and what to do. */
export class MienError extends Error {
  override name = "MienError";
}

/** A model file, or the numbers beside it, cannot be used. */
export class ModelError extends MienError {
  override name = "ModelError";
}

/** A picture, a time or a setting that cannot be read. */
export class InputError extends MienError {
  override name = "InputError";
}
