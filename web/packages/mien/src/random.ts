/** NumPy's generator of random numbers (PCG-64, O'Neill 2014), so that both draw the same. */

const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const BITS_64 = (1n << 64n) - 1n;
const BITS_128 = (1n << 128n) - 1n;

/** Where a generator begins, as whole numbers of 128 bits. */
export interface Begun {
  readonly state: string;
  readonly inc: string;
}

export class Random {
  private state: bigint;
  private readonly inc: bigint;
  private half: number | null = null; // of 64 bits that were drawn, the upper 32

  constructor({ state, inc }: Begun) {
    this.state = BigInt(state);
    this.inc = BigInt(inc);
  }

  /** A whole number from 0 to under `end`, each as likely (Lemire 2019); `end` is under 2 ** 32. */
  below(end: number): number {
    if (end === 1) return 0;
    let { high, low } = product(this.next32(), end);
    if (low < end) {
      const least = (2 ** 32 - end) % end;
      while (low < least) ({ high, low } = product(this.next32(), end));
    }
    return high;
  }

  /** 0 to under `count` in some order. */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.upTo(i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** A whole number from 0 to `most`; NumPy orders with it, and draws with `below`. */
  private upTo(most: number): number {
    const mask = 2 ** (32 - Math.clz32(most)) - 1;
    let drawn: number;
    do drawn = (this.next32() & mask) >>> 0;
    while (drawn > most);
    return drawn;
  }

  private next32(): number {
    if (this.half !== null) {
      const kept = this.half;
      this.half = null;
      return kept;
    }
    const drawn = this.next64();
    this.half = Number(drawn >> 32n);
    return Number(drawn & 0xffffffffn);
  }

  private next64(): bigint {
    this.state = (this.state * MULTIPLIER + this.inc) & BITS_128;
    const mixed = ((this.state >> 64n) ^ this.state) & BITS_64;
    const turns = this.state >> 122n;
    return ((mixed >> turns) | (mixed << (64n - turns))) & BITS_64;
  }
}

/** The product of two numbers under 2 ** 32, in halves of 32 bits. */
function product(a: number, b: number): { high: number; low: number } {
  const whole = BigInt(a) * BigInt(b);
  return { high: Number(whole >> 32n), low: Number(whole & 0xffffffffn) };
}
