import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** Runs a command and returns what it printed. Throws with the end of what it said on stderr. */
export function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let printed = ''
    let complained = ''
    child.stdout.on('data', (text) => {
      printed += text
    })
    child.stderr.on('data', (text) => {
      complained = `${complained}${text}`.slice(-2_000)
    })
    child.on('error', reject)
    child.on('close', (status) => {
      if (status === 0) resolve(printed)
      else reject(new Error(`${command} ${args[0]} ended with ${status}: ${complained.trim().split('\n').at(-1)}`))
    })
  })
}

/** Where the PATH has a program of this name. */
export async function onPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name)
    if (folder !== '' && (await isExecutable(path))) return path
  }
  return undefined
}

/** Whether it is a file that can be started. */
export const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
