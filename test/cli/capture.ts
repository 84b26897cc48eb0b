import type { Command } from 'commander'
import { vi } from 'vitest'

/** Runs one command in this process; `status` is what the command itself asked for. */
export async function capture(command: Command, ...args: string[]) {
  const written = { stdout: '', stderr: '' }
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
      written[name] += String(chunk)
      return true
    }),
  )
  const before = process.exitCode
  let error: unknown
  try {
    await command.parseAsync(args, { from: 'user' })
  } catch (thrown) {
    error = thrown
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
  const status = process.exitCode
  process.exitCode = before
  return { ...written, error, status }
}
