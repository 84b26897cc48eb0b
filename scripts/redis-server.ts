import { spawnSync } from 'node:child_process'

const PROGRAMS = ['redis-server', 'valkey-server']
const isThere = (program: string): boolean => spawnSync(program, ['--version']).status === 0

/**
 * The name of a Redis server program: one on the PATH, else installed through the system's package manager where that may be done
 * without a question. Throws with what to do.
 */
export async function redisServer(): Promise<string> {
  const found = PROGRAMS.find(isThere)
  if (found !== undefined) return found
  const root = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  const installs = [
    ['apt-get', 'install', '-y', '--no-install-recommends', 'redis-server'],
    ['apk', 'add', 'redis'],
    ['dnf', 'install', '-y', 'valkey'],
    ['brew', 'install', 'redis'],
  ]
  for (const install of installs) {
    if (spawnSync(install[0]!, ['--version']).error !== undefined) continue
    const command = install[0] === 'brew' ? install : [...root, ...install]
    process.stderr.write(`no redis-server on the PATH: ${command.join(' ')}\n`)
    spawnSync(command[0]!, command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] })
    const installed = PROGRAMS.find(isThere)
    if (installed !== undefined) return installed
  }
  throw new Error('this needs a Redis: install redis-server or valkey-server, so that it is on the PATH')
}
