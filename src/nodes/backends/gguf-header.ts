import { open } from 'node:fs/promises'
import { CaesuraError } from '../../core/errors.ts'

/** `GGUF`, the version, and how many tensors and key-value pairs follow. */
const HEADER_BYTES = 24
/** A tensor is at least the length of its name, how many dimensions it has, its type and its offset. */
const LEAST_TENSOR_BYTES = 24
/** A pair is at least the length of its key, the type of its value and a byte of that. */
const LEAST_PAIR_BYTES = 13

/**
 * Looks whether a file of so many bytes begins like a GGUF file that may be whole. node-llama-cpp reads as many entries as the
 * header names, and does not stop at the file's end. Throws `CAESURA_E_NO_MODEL`.
 */
export async function checkGgufHeader(file: string, fileBytes: number): Promise<void> {
  const header = Buffer.alloc(HEADER_BYTES)
  const handle = await open(file).catch((cause: unknown) => {
    throw new CaesuraError('CAESURA_E_NO_MODEL', `the model file ${file} cannot be read`, { file, cause })
  })
  try {
    await handle.read(header, 0, HEADER_BYTES, 0)
  } finally {
    await handle.close()
  }
  const refuse = (why: string): never => {
    throw new CaesuraError('CAESURA_E_NO_MODEL', `${file} is no model that llama.cpp can load: ${why}`, { file })
  }
  if (header.toString('latin1', 0, 4) !== 'GGUF') refuse('it is not a GGUF file')
  if (fileBytes < HEADER_BYTES) refuse(`it is cut off after ${fileBytes} bytes`)
  const version = header.readUInt32LE(4)
  if (version !== 2 && version !== 3) refuse(`its GGUF version is ${version}, and only 2 and 3 are known`)
  const [tensors, pairs] = [header.readBigUInt64LE(8), header.readBigUInt64LE(16)]
  const least = BigInt(HEADER_BYTES) + tensors * BigInt(LEAST_TENSOR_BYTES) + pairs * BigInt(LEAST_PAIR_BYTES)
  if (least > fileBytes)
    refuse(`${tensors} tensors and ${pairs} key-value pairs do not fit into its ${fileBytes} bytes`)
}
