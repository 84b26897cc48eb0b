import { spawnSync } from 'node:child_process'
import { Ajv2020 } from 'ajv/dist/2020.js'
import ms from 'ms'
import { describe, expect, it } from 'vitest'
import {
  type ComposeFile,
  readCompose,
  readEnv,
  rootFile,
  rootPath,
  type Service,
  variablesOf,
} from './compose-file.ts'

const text = rootFile('docker-compose.yml')
const example = readEnv(rootFile('.env.example'))
const document = readCompose(text, example)
const isValid = new Ajv2020({ strict: false, allErrors: true }).compile(
  JSON.parse(rootFile('test/containers/compose-spec/compose-spec.json')),
)
const { services, networks, configs, secrets, volumes } = document as ComposeFile
const all = Object.entries(services)
const own = all.filter(([, service]) => service.build !== undefined)
// What the image of a third party needs root or a writable root file system for is said in docker-compose.yml.
const asRoot = ['ollama-cpu', 'ollama-gpu', 'model']
const endsByItself = 'model'

describe('docker-compose.yml', () => {
  it('is what the Compose Specification allows', () => {
    isValid(document)
    expect(isValid.errors ?? []).toEqual([])
  })

  it('is checked by a schema that refuses what the specification does not know', () => {
    const withUnknown = { services: { redis: { image: 'redis:8.6.5', healthchek: {} } } }
    expect(isValid(withUnknown)).toBe(false)
  })

  it('reads the variables of .env.example and no others', () => {
    // Compose itself reads COMPOSE_PROFILES.
    expect([...variablesOf(text), 'COMPOSE_PROFILES'].sort()).toEqual(Object.keys(example).sort())
  })

  it('refuses to start without a .env, and says what to do', () => {
    expect(() => readCompose(text, {})).toThrow('CAESURA_MODEL is not set. Copy .env.example to .env first.')
  })

  it.each(all)('%s: its image has an exact version', (_, { image }) => {
    expect(image).toMatch(/^[a-z/]+:v?\d+\.\d+\.\d+$/)
  })

  it.each(all)('%s: stays within memory, rotates its log, gains no privileges', (_, service) => {
    expect(service.deploy?.resources?.limits?.memory).toMatch(/^\d+[mg]$/)
    expect(service.logging?.options).toMatchObject({ 'max-size': '10m', 'max-file': '5' })
    expect(service.cap_drop).toEqual(['ALL'])
    expect(service.security_opt).toContain('no-new-privileges:true')
    expect(service.privileged).toBeUndefined()
  })

  it.each(all.filter(([name]) => !asRoot.includes(name)))(
    '%s: is no root, and its root file system is read-only',
    (_, service) => {
      expect(service.user).toMatch(/^(?!root|0\b)./)
      expect(service.read_only).toBe(true)
    },
  )

  it.each(all.filter(([name]) => name !== endsByItself))(
    '%s: is started again, and has an init and a health check',
    (_, service) => {
      expect(service.restart).toBe('unless-stopped')
      expect(service.init).toBe(true)
      // A service of ours without one has the image's.
      expect(service.healthcheck?.test ?? service.build).toBeDefined()
    },
  )

  it.each(all)('%s: waits for services that can become what it waits for', (_, { depends_on = {} }) => {
    for (const [name, { condition }] of Object.entries(depends_on)) {
      expect(services).toHaveProperty(name)
      expect(condition).toBe(name === endsByItself ? 'service_completed_successfully' : 'service_healthy')
    }
  })

  it('leaves optional what the chosen profile does not have', () => {
    for (const [, { depends_on = {} }] of all)
      for (const [name, { required = true }] of Object.entries(depends_on))
        expect(required).toBe(services[name]!.profiles === undefined)
  })

  it('publishes ports on the loopback interface only, and none of Redis', () => {
    for (const port of all.flatMap(([, { ports = [] }]) => ports)) expect(port).toMatch(/^127\.0\.0\.1:/)
    expect(services.redis!.ports).toBeUndefined()
    expect(services.redis!.networks).toEqual(['state'])
    expect(networks.state).toEqual({ internal: true })
  })

  it('keeps runs: Redis writes an AOF to a volume and evicts nothing, below a limit of its own', () => {
    const { command = [], volumes: mounts } = services.redis!
    const flags = Object.fromEntries(
      command.flatMap((word, at) => (word.startsWith('--') ? [[word, command[at + 1]]] : [])),
    )
    expect(flags).toMatchObject({
      '--appendonly': 'yes',
      '--appendfsync': 'everysec',
      '--maxmemory-policy': 'noeviction',
    })
    expect(mounts).toEqual(['redis:/data'])
    expect(volumes).toHaveProperty('redis')
    const bytes = (size = '') => Number.parseInt(size, 10) * (size.includes('g') ? 2 ** 30 : 2 ** 20)
    expect(bytes(services.redis!.deploy?.resources?.limits?.memory)).toBeGreaterThanOrEqual(
      2 * bytes(flags['--maxmemory']),
    )
  })

  it('has Ollama once a profile, under one name, with as many slots as its worker', () => {
    const ollamas = all.filter(([, { networks: at }]) => JSON.stringify(at)?.includes('"aliases":["ollama"]'))
    expect(ollamas.map(([name, { profiles }]) => [name, profiles])).toEqual([
      ['ollama-cpu', ['cpu']],
      ['ollama-gpu', ['gpu']],
    ])
    const { command = [] } = services.stages!
    for (const [, { environment }] of ollamas)
      expect(environment?.OLLAMA_NUM_PARALLEL).toBe(command[command.indexOf('--slots') + 1])
    const devices = (name: string) => services[name]!.deploy?.resources?.reservations?.devices
    expect(devices('ollama-gpu')).toMatchObject([{ driver: 'nvidia', capabilities: ['gpu'] }])
    expect(devices('ollama-cpu')).toBeUndefined()
  })

  it('takes tokens and aliases from files, which is what a read-only container can be given', () => {
    for (const secret of [...Object.values(secrets), ...Object.values(configs)])
      expect(Object.keys(secret)).toEqual(['file'])
    const names = [...Object.keys(example), ...all.flatMap(([, { environment = {} }]) => Object.keys(environment))]
    expect(names.filter((name) => /PASS|SECRET|TOKEN|KEY/.test(name) && !name.endsWith('_FILE'))).toEqual([])
  })
})

describe('our services', () => {
  it.each(own)('%s: SIGKILL comes well after the grace of a worker', (_, { stop_grace_period = '0s' }) => {
    const grace = 10_000
    expect(ms(stop_grace_period as ms.StringValue)).toBeGreaterThanOrEqual(2 * grace)
  })

  it.each(own.map(([name, service]) => [name, wordsOf(service)] as const))(
    '%s: the command line knows %j',
    (_, words) => {
      const flagsFrom = words.findIndex((word) => word.startsWith('-'))
      const verb = flagsFrom === -1 ? words : words.slice(0, flagsFrom)
      const { status, stdout } = spawnSync(process.execPath, [rootPath('src/cli/main.ts'), ...verb, '--help'], {
        encoding: 'utf8',
      })
      expect(status).toBe(0)
      expect(stdout).toContain(`caesura ${verb.join(' ')} [options]`)
      for (const flag of words.filter((word) => word.startsWith('--')))
        expect(stdout).toMatch(new RegExp(`^ +${flag}\\b`, 'm'))
    },
  )

  it('are one image, which is built here', () => {
    expect(own.map(([name]) => name).sort()).toEqual(['api', 'pipelines', 'stages'])
    expect(new Set(own.map(([, { image }]) => image))).toEqual(new Set([`caesura:${packageVersion()}`]))
  })
})

function wordsOf({ command = [] }: Service): readonly string[] {
  return command
}

const packageVersion = (): string => (JSON.parse(rootFile('package.json')) as { version: string }).version
