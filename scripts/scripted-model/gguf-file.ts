/** A value of a GGUF file: a text, a list of texts, true or false, or numbers of a stated kind (32 bits each). */
export type GgufValue =
  | string
  | readonly string[]
  | boolean
  | { readonly whole: number }
  | { readonly real: number }
  | { readonly wholes: readonly number[] }
  | { readonly reals: readonly number[] }

/** Numbers of 32 bits; `shape` has the fastest dimension first. */
export interface Tensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Float32Array
}

const VERSION = 3
/** Data begin at multiples of this. */
const ALIGNMENT = 32
/** Numbers of the format for the types of values. */
const types = { whole: 4, signed: 5, real: 6, truth: 7, text: 8, list: 9 } as const

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
const f32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return bytes
}
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([u64(bytes.length), bytes])
}
const list = (type: number, entries: readonly Buffer[]): Buffer =>
  Buffer.concat([u32(types.list), u32(type), u64(entries.length), ...entries])

function encoded(value: GgufValue): Buffer {
  if (typeof value === 'string') return Buffer.concat([u32(types.text), text(value)])
  if (typeof value === 'boolean') return Buffer.concat([u32(types.truth), Buffer.from([value ? 1 : 0])])
  if (Array.isArray(value)) return list(types.text, (value as readonly string[]).map(text))
  if ('whole' in value) return Buffer.concat([u32(types.whole), u32(value.whole)])
  if ('real' in value) return Buffer.concat([u32(types.real), f32(value.real)])
  if ('wholes' in value) return list(types.signed, value.wholes.map(u32))
  return list(types.real, (value as { readonly reals: readonly number[] }).reals.map(f32))
}

const aligned = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT
const padding = (length: number): Buffer => Buffer.alloc(aligned(length) - length)

/** A GGUF file of these values and tensors. */
export function ggufFile(values: readonly (readonly [string, GgufValue])[], tensors: readonly Tensor[]): Buffer {
  const parts = [Buffer.from('GGUF'), u32(VERSION), u64(tensors.length), u64(values.length)]
  for (const [key, value] of values) parts.push(text(key), encoded(value))
  let offset = 0
  for (const { name, shape, data } of tensors) {
    // Type 0 is numbers of 32 bits.
    parts.push(text(name), u32(shape.length), ...shape.map(u64), u32(0), u64(offset))
    offset += aligned(data.byteLength)
  }
  parts.push(padding(parts.reduce((length, part) => length + part.length, 0)))
  for (const { data } of tensors) parts.push(Buffer.from(data.buffer), padding(data.byteLength))
  return Buffer.concat(parts)
}
