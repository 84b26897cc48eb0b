import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type ComposeFile, readCompose, readEnv, rootFile, rootPath } from './compose-file.ts'

const example = readEnv(rootFile('.env.example'))
const read = (env: Record<string, string> = {}) =>
  readCompose(rootFile('docker-compose.yml'), { ...example, ...env }) as ComposeFile
const { services, networks, volumes } = read()
const OURS = ['api', 'pipelines', 'stages']
const KEEPERS = ['jaeger', 'prometheus', 'grafana']
const prometheus = parse(rootFile('deploy/prometheus/prometheus.yml'))

/** The file of this repository that a container finds at a path. */
const mounted = (service: string, path: string): string => {
  const mount = services[service]!.volumes!.map((volume) => volume.split(':') as [string, string]).find(([, target]) =>
    path.startsWith(`${target}/`),
  )
  return path.replace(mount![1], mount![0])
}

describe('observability with Compose', () => {
  it('is not started unless a profile asks for it', () => {
    expect(KEEPERS.map((name) => services[name]!.profiles)).toEqual([
      ['tracing', 'observability'],
      ['observability'],
      ['observability'],
    ])
  })

  it('sends spans to where .env says, and nowhere by default', () => {
    const endpoints = ({ services }: ComposeFile) =>
      OURS.map((name) => services[name]!.environment!.OTEL_EXPORTER_OTLP_ENDPOINT)
    expect(endpoints(read())).toEqual(['', '', ''])
    const url = 'http://jaeger:4318'
    expect(endpoints(read({ OTEL_EXPORTER_OTLP_ENDPOINT: url }))).toEqual([url, url, url])
  })

  it('is on a network with our services, and not on that of Redis', () => {
    expect(networks.telemetry).toEqual({ internal: true })
    for (const name of [...OURS, ...KEEPERS]) expect(services[name]!.networks).toContain('telemetry')
    for (const name of KEEPERS) expect(services[name]!.networks).not.toContain('state')
  })

  it('has a health check of its own address each', () => {
    const urls = KEEPERS.map((name) => services[name]!.healthcheck!.test.at(-1))
    expect(urls).toEqual([
      'http://127.0.0.1:13133/status',
      'http://127.0.0.1:9090/-/healthy',
      'http://127.0.0.1:3000/api/health',
    ])
  })

  it('mounts what is there, read-only, and keeps its own in volumes', () => {
    for (const name of KEEPERS)
      for (const volume of services[name]!.volumes ?? []) {
        const [source, , mode] = volume.split(':')
        if (!source!.startsWith('.')) expect(volumes).toHaveProperty(source!)
        else {
          expect(mode).toBe('ro')
          // Dashboards may be none.
          if (!source!.endsWith('/dashboards')) expect(existsSync(rootPath(source!)), source).toBe(true)
        }
      }
  })
})

describe('Prometheus', () => {
  it('reads the file that is mounted', () => {
    const flag = services.prometheus!.command!.find((word) => word.startsWith('--config.file='))!
    expect(mounted('prometheus', flag.slice('--config.file='.length))).toBe('./deploy/prometheus/prometheus.yml')
  })

  it('scrapes the API and all workers, by the names that they have, where they serve figures', () => {
    expect(prometheus.scrape_configs).toMatchObject([
      { dns_sd_configs: [{ names: ['api', 'pipelines', 'stages'], type: 'A', port: 9464 }] },
    ])
    for (const name of OURS) {
      const command = services[name]!.command!
      expect(command[command.indexOf('--metrics-port') + 1]).toBe('9464')
      expect(command[command.indexOf('--metrics-host') + 1]).toBe('0.0.0.0')
      expect(services[name]!.ports?.join() ?? '').not.toContain('9464')
    }
  })

  it('reads rules beside its own file', () => {
    expect(prometheus.rule_files).toEqual(['alerts.yml'])
  })
})

describe('Grafana', () => {
  it('has data sources at services that are there', () => {
    const { datasources } = parse(rootFile('deploy/grafana/provisioning/datasources/caesura.yml'))
    const hosts = datasources.map(({ uid, url }: { uid: string; url: string }) => [uid, new URL(url).hostname])
    expect(hosts).toEqual([
      ['prometheus', 'prometheus'],
      ['jaeger', 'jaeger'],
    ])
  })

  it('looks for dashboards where they are mounted', () => {
    const { providers } = parse(rootFile('deploy/grafana/provisioning/dashboards/caesura.yml'))
    expect(mounted('grafana', `${providers[0].options.path}/any.json`)).toBe('./deploy/grafana/dashboards/any.json')
  })

  it('lets nobody log in', () => {
    expect(services.grafana!.environment).toMatchObject({
      GF_AUTH_ANONYMOUS_ORG_ROLE: 'Viewer',
      GF_AUTH_BASIC_ENABLED: 'false',
      GF_AUTH_DISABLE_LOGIN_FORM: 'true',
    })
  })
})
