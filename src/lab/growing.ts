/** A column of numbers whose length is not known ahead. 8 bytes a number, twice that while it grows. */
export class Growing {
  #values = new Float64Array(1_024)
  #length = 0

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const longer = new Float64Array(this.#length * 2)
      longer.set(this.#values)
      this.#values = longer
    }
    this.#values[this.#length++] = value
  }

  get length(): number {
    return this.#length
  }

  /** A view: no copy. */
  values(): Float64Array {
    return this.#values.subarray(0, this.#length)
  }
}
