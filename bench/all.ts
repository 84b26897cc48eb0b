/** Every benchmark, one after the other, each in a process of its own. Exit code 1 when a limit was missed. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

for (const name of ['overhead', 'interrupt', 'memory', 'tokens', 'triggers', 'templates', 'pace', 'history']) {
  console.log(`\n# ${name}\n`)
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL(`${name}.ts`, import.meta.url))], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
}
