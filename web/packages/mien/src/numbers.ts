/** The numbers both sides need, which `python -m mien.analysis.numbers` writes. */

export interface Numbers {
  readonly schema: "mien-numbers/1";
  readonly records: { readonly schema: string };
  readonly quality: { readonly low: number };
}
