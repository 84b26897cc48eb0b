import { existsSync } from 'node:fs'
import { DockerfileParser, type JSONArgument } from 'dockerfile-ast'
import { describe, expect, it } from 'vitest'
import { rootFile, rootPath } from './compose-file.ts'

const text = rootFile('Dockerfile')
const file = DockerfileParser.parse(text)
const stages = file.getFROMs()
const last = stages.at(-1)!
const inLast = file.getInstructions().filter((it) => it.getRange().start.line > last.getRange().start.line)
const argumentsOf = (keyword: string, instructions = file.getInstructions()) =>
  instructions.filter((it) => it.getKeyword() === keyword).map((it) => it.getArgumentsContent() ?? '')
const execForm = (strings: readonly JSONArgument[]) => strings.map((word) => word.getJSONValue())

/** What `.dockerignore` lets into the build. */
const allowed = rootFile('.dockerignore')
  .split('\n')
  .filter((line) => line.startsWith('!'))
  .map((line) => line.slice(1))

describe('Dockerfile', () => {
  it('starts from one image of an exact version, the Node that package.json names', () => {
    const { node } = (JSON.parse(rootFile('package.json')) as { devDependencies: { node: string } }).devDependencies
    expect(new Set(stages.map((stage) => stage.getImage()))).toEqual(new Set([`node:${node}-bookworm-slim`]))
  })

  it('builds in stages of their own, so that the image has no compiler and no development packages', () => {
    expect(stages.map((stage) => stage.getBuildStage())).toEqual(['build', 'dependencies', 'runtime'])
    expect(argumentsOf('RUN', inLast)).toEqual([])
    const copied = file.getCOPYs().flatMap((copy) => {
      const from = copy.getFromFlag()?.getValue()
      return from == null ? [] : [[from, copy.getArguments()[0]!.getValue()]]
    })
    expect(copied).toEqual([
      ['dependencies', '/app/node_modules'],
      ['build', '/app/dist'],
    ])
  })

  it('installs what the lock file says and runs no script of a package', () => {
    const installs = argumentsOf('RUN').filter((command) => /\bnpm (ci|i|install|add)\b/.test(command))
    expect(installs).toHaveLength(2)
    for (const command of installs) expect(command).toMatch(/^npm ci .*--ignore-scripts/)
    expect(installs.at(-1)).toContain('--omit=dev')
    expect(argumentsOf('COPY').filter((files) => files === 'package.json package-lock.json ./')).toHaveLength(2)
  })

  it('runs in production as a user that is not root, by number', () => {
    expect(argumentsOf('USER', inLast)).toEqual(['1000:1000'])
    expect(argumentsOf('ENV', inLast)).toContain('NODE_ENV=production')
  })

  it('gets signals: its command is in exec form, and a container says whether it is well', () => {
    const [entrypoint, ...others] = file.getENTRYPOINTs()
    expect(execForm(entrypoint!.getJSONStrings())).toEqual(['node', 'dist/cli/main.js'])
    expect(others).toEqual([])
    expect(file.getCMDs().map((command) => execForm(command.getJSONStrings()))).toEqual([['--help']])
    const [check] = file.getHEALTHCHECKs()
    expect(check!.getFlags().map((flag) => flag.getName())).toEqual(['interval', 'timeout', 'start-period', 'retries'])
    expect(check!.getArgumentsContent()).toBe('CMD ["node", "dist/cli/main.js", "nodes", "--json"]')
  })

  it('starts what the package calls caesura', () => {
    const { bin } = JSON.parse(rootFile('package.json')) as { bin: { caesura: string } }
    expect(execForm(file.getENTRYPOINTs()[0]!.getJSONStrings())).toContain(bin.caesura)
  })

  it('adds nothing from elsewhere, and no secret', () => {
    expect(argumentsOf('ADD')).toEqual([])
    expect(argumentsOf('ARG')).toEqual([])
    expect(text).not.toMatch(/\b(curl|wget|sudo)\b/)
    expect([...argumentsOf('ENV'), ...argumentsOf('LABEL')].join('\n')).not.toMatch(/pass|secret|token|key/i)
  })

  it('sets its folder before it copies, and copies what .dockerignore lets in', () => {
    const sources = file
      .getCOPYs()
      .filter((copy) => copy.getFromFlag() === null)
      .flatMap((copy) => copy.getArguments().map((argument) => argument.getValue()))
      .filter((path) => !path.startsWith('./'))
    expect([...new Set(sources)].sort()).toEqual([...allowed].sort())
    for (const path of allowed) expect(existsSync(rootPath(path)), path).toBe(true)
    expect(argumentsOf('WORKDIR')).toEqual(['/app', '/app', '/app'])
  })
})

describe('.dockerignore', () => {
  it('keeps out everything that it does not name', () => {
    const lines = rootFile('.dockerignore').split('\n')
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))[0]).toBe('*')
  })
})
