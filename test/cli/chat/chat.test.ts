import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { caesura } from '../caesura.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-chat-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A model that says what it is asked, a word a piece. */
const config = (more = '') =>
  writeFileSync(
    join(folder, 'caesura.config.yaml'),
    `nodes: [{ name: here, backend: scripted${more} }]\nmodels: { fast: m }\n`,
  )
const pipeline = (policy = '') =>
  writeFileSync(
    join(folder, 'p.yaml'),
    `name: p\nhistory: { turns: 3 }\nstages: [{ id: a, model: fast, prompt: "{{ input }}"${policy} }]\n`,
  )
const objects = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

describe('caesura chat in a pipe', () => {
  it('answers each line with a line, and remembers what was said', async () => {
    const said = 'How do I descale my kettle?\n\nI have no vinegar.\n'
    const { status, stdout } = await caesura(folder, ['chat', '--backend', 'embedded'], {}, said)
    expect(status).toBe(0)
    const lines = stdout.split('\n')
    expect(lines).toHaveLength(3)
    expect(lines[0]).toContain('vinegar')
    // So it begins where it was shown the question before.
    expect(lines[1]).toMatch(/^Without vinegar, use citric acid instead/)
    expect(stdout).not.toContain('\u001b')
  })

  it('goes on with the session of --session, and forgets one without a name', async () => {
    const talk = (input: string, ...flags: string[]) =>
      caesura(folder, ['chat', '--backend', 'embedded', ...flags], {}, `${input}\n`)
    await talk('How do I descale my kettle?', '--session', 's')
    expect((await talk('I have no vinegar.', '--session', 's')).stdout).toMatch(/^Without vinegar/)
    expect((await talk('I have no vinegar.')).stdout).not.toMatch(/^Without vinegar/)
  })

  it('prints a line of JSON a turn with --json, and hands tokens on at --pace', async () => {
    config()
    pipeline()
    const flags = ['--json', '--pace', '50']
    const { status, stdout } = await caesura(folder, ['chat', 'p.yaml', ...flags], {}, 'one two\nthree four\n')
    expect(status).toBe(0)
    expect(objects(stdout)).toEqual(
      ['one two', 'three four'].map((input) => ({
        ...{ input, text: input, outcome: 'completed', interrupted: false },
        toFirstTokenMs: expect.any(Number),
      })),
    )
  })

  it('marks an answer that its policy cut', async () => {
    config(', tokenMs: 20')
    pipeline()
    const flags = ['--policy', '{ trigger: { tokens: 1 }, response: abort, then: end }']
    const { stdout } = await caesura(folder, ['chat', 'p.yaml', ...flags], {}, 'one two three\n')
    expect(stdout).toMatch(/^one.* \[cut\]\n$/)
    const { stdout: json } = await caesura(folder, ['chat', 'p.yaml', '--json', ...flags], {}, 'one two three\n')
    expect(objects(json)[0]).toMatchObject({ interrupted: true })
  })

  it('exits with 1 where a turn failed, and says why', async () => {
    writeFileSync(join(folder, 'p.yaml'), 'name: p\nstages: [{ id: a, say: "{{ vars.nothing }}" }]\n')
    const { status, stdout, stderr } = await caesura(folder, ['chat', 'p.yaml', '--json'], {}, 'x\n')
    expect(status).toBe(1)
    expect(objects(stdout)[0]).toMatchObject({ input: 'x', outcome: 'failed', error: { code: expect.any(String) } })
    expect(stderr).not.toBe('')
  })

  it.each([
    [['--pace', '0'], 'CAESURA_E_USAGE'],
    [['--session', ' '], 'CAESURA_E_USAGE'],
    [['--policy', '{ response: sing }'], 'CAESURA_E_USAGE'],
    [['nosuch.yaml'], 'CAESURA_E_FILE'],
    [['--catalogue', 'nosuch.ts'], 'CAESURA_E_FILE'],
    [['--loud'], 'CAESURA_E_USAGE'],
  ])('refuses %j', async (flags, code) => {
    const { status, stdout } = await caesura(folder, ['chat', '--backend', 'embedded', '--json', ...flags], {}, 'x\n')
    expect(status).toBe(2)
    expect(JSON.parse(stdout).error.code).toBe(code)
  })
})

const hasTmux = spawnSync('tmux', ['-V']).status === 0
const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url))

/** The chat in a terminal of 80 columns. */
function inTerminal(flags: string, env = '') {
  const socket = `caesura-${process.pid}-${Math.random().toString(36).slice(2)}`
  const tmux = (...args: string[]) => execFileSync('tmux', ['-L', socket, '-f', '/dev/null', ...args]).toString()
  const command = `cd '${folder}'; ${env} OLLAMA_HOST=http://127.0.0.1:9 CAESURA_RECORDS=runs.sqlite '${process.execPath}' '${main}' chat --backend embedded ${flags}; echo "exit code $?"; sleep 1000`
  tmux('new-session', '-d', '-x', '80', '-y', '30', command)
  onTestFinished(() => void tmux('kill-server'))
  const screen = (...more: string[]) => tmux('capture-pane', '-p', '-S', '-200', ...more)
  return {
    type: (...keys: string[]) => tmux('send-keys', ...keys),
    screen,
    /** The screen, as soon as it has this. */
    async shown(text: string | RegExp): Promise<string> {
      for (let tries = 0; tries < 400; tries += 1) {
        const now = screen()
        if (typeof text === 'string' ? now.includes(text) : text.test(now)) return now
        await sleep(100)
      }
      throw new Error(`${text} is not on the screen:\n${screen()}`)
    },
  }
}

describe.skipIf(!hasTmux)('caesura chat in a terminal (needs tmux)', () => {
  it('is interrupted by what is typed while it answers, and strikes what was cut', { timeout: 60_000 }, async () => {
    const { type, shown, screen } = inTerminal('--pace 6')
    await shown(/^>$/m)
    type('How do I descale my kettle?', 'Enter')
    await shown(/take your time\. \w+/)
    type('I have no vin')
    // The answer goes on above what is being typed.
    const half = await shown(/chalk that hard[\s\S]*^> I have no vin$/m)
    expect(half.match(/I have no vin/g)).toHaveLength(1)
    type('egar.', 'Enter')
    await shown(/abort · kept \d+ characters · [\d.]+ m?s to the first token\n {2}Without vinegar/)
    expect(screen('-e').replaceAll('\u001b', '^')).toMatch(/\^\[[\d;]*\b9m/)
    type('C-c')
    await shown('cancelled')
    type('/history', 'Enter')
    expect(await shown(/ {2}you {5}I have no vinegar\.\n {2}answer {2}Without/)).toContain('[cut]')
    type('/explain', 'Enter')
    await shown(/Interrupt of answer at .* → abort/)
    type('/policy drain', 'Enter')
    await shown('policy drain, from the next turn on')
    type('/policy sing', 'Enter')
    await shown('CAESURA_E_USAGE')
    type('C-d')
    await shown('exit code 0')
  })

  it('ends at a second Ctrl-C, and cuts with a mark without colours', { timeout: 60_000 }, async () => {
    const { type, shown, screen } = inTerminal('--pace 6', 'NO_COLOR=1')
    await shown(/^>$/m)
    type('How do I descale my kettle?', 'Enter')
    await shown('take your')
    type('stop', 'Enter')
    await shown(/\[cut\]\n> stop\n {2}abort · kept/)
    expect(screen('-e').replaceAll('\u001b', '^')).not.toMatch(/\^\[[\d;]*\b9m/)
    type('C-c')
    type('C-c')
    await shown('exit code 130')
  })
})
