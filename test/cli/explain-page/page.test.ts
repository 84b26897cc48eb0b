import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { explanationPage } from '../../../src/cli/explain-page/page.ts'
import type { RunRecord } from '../../../src/core/record.ts'
import { explain } from '../../../src/records/explaining/explanation.ts'
import { abortInterrupt, draftAborted, interruptedRun, plainRun, refineCompleted } from '../../records.ts'
import { findChromium } from './browser.ts'

const hostile = '</pre><script>document.title = "taken over"</script> "quotes" & \'more\''
const longName = 'a-stage-with-a-name-that-fits-on-no-line-of-a-phone'
/** Everything that a page can show, with texts that would break one. */
const full: RunRecord = {
  ...interruptedRun,
  pipeline: `<i>${longName}</i>`,
  output: hostile,
  stages: [
    { ...draftAborted, text: hostile },
    { ...refineCompleted, id: longName, attempt: 2, node: longName },
  ],
  interrupts: [
    { ...abortInterrupt, input: hostile, reason: `expected rest 80 ms; ${'x'.repeat(300)}` },
    { ...abortInterrupt, superseded: true, decision: 'superseded', phases: [] },
  ],
}
const pageOf = (record: RunRecord) => explanationPage(explain(record, { records: [] }))

describe('the page of a run', () => {
  it('says what the record holds: phases with length, share and source, the decision, costs, marks', () => {
    const page = pageOf(interruptedRun)
    for (const text of [
      '87 ms · 87 % · inferred',
      '2.0 ms · 2 % · unexplained',
      'the policy says abort',
      '17 %',
      '60.000',
    ])
      expect(page).toContain(text)
  })

  it('shows texts only where the record has them', () => {
    const { output: _, ...silent } = interruptedRun
    const stages = interruptedRun.stages.map(({ text: __, ...call }) => call)
    expect(pageOf(interruptedRun)).toContain('<pre>')
    expect(pageOf({ ...silent, stages })).not.toContain('<pre>')
  })

  it('escapes all of them', () => {
    expect(pageOf(full)).not.toMatch(/<script|<i>/)
  })

  it('names every drawing and heads every column', () => {
    const page = pageOf(full)
    const ids = [...page.matchAll(/ id="([^"]*)"/g)].map((match) => match[1])
    expect(new Set(ids).size).toBe(ids.length)
    for (const [, named] of page.matchAll(/aria-labelledby="([^"]*)"/g))
      for (const id of named!.split(' ')) expect(ids).toContain(id)
    for (const [table] of page.matchAll(/<table.*?<\/table>/gs)) expect(table).toContain('<caption>')
    for (const [head] of page.matchAll(/<th\b[^>]*>/g)) expect(head).toContain('scope=')
  })

  it('is there for a run without calls, and for one without interrupts', () => {
    expect(pageOf({ ...plainRun, stages: [], durationMs: 0 })).toContain('No call was made.')
    expect(pageOf(plainRun)).not.toContain('What would have been different')
  })
})

const executablePath = findChromium()
if (executablePath === undefined) console.log('skipped: no Chromium on the PATH or at CHROMIUM_PATH to show pages in')

describe.skipIf(executablePath === undefined)('in Chromium', () => {
  const folder = mkdtempSync(join(tmpdir(), 'caesura-page-'))
  const file = join(folder, 'run.html')
  let browser: Browser
  beforeAll(async () => {
    writeFileSync(file, pageOf(full))
    browser = await chromium.launch({
      executablePath: executablePath!,
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    })
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true })
  })

  it.each([
    [390, 'light'],
    [390, 'dark'],
    [1440, 'light'],
    [1440, 'dark'],
  ] as const)('%i px wide and %s: fits, is seen, and has nothing to complain about', async (width, colorScheme) => {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('request', (request) => {
      if (!/^(file|data):/.test(request.url())) complaints.push(request.url())
    })
    await page.goto(pathToFileURL(file).href)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    expect(await page.title()).toContain(longName)
    expect(await page.getByRole('img', { name: 'The calls of the run' }).isVisible()).toBe(true)
    for (const bar of await page.locator('svg[role=img] > rect').all()) {
      const box = (await bar.boundingBox())!
      expect(box.width).toBeGreaterThanOrEqual(1)
      expect(box.x + box.width).toBeLessThanOrEqual(width)
    }
    // What is painted, not what is in the document: without its bars a drawing looks different.
    for (const drawing of await page.getByRole('img').all()) {
      const seen = await drawing.screenshot()
      await page.evaluate(
        "for (const rect of document.querySelectorAll('svg > rect')) rect.style.visibility = 'hidden'",
      )
      expect((await drawing.screenshot()).equals(seen)).toBe(false)
      await page.evaluate("for (const rect of document.querySelectorAll('svg > rect')) rect.style.visibility = ''")
    }
    expect(complaints).toEqual([])
    await page.close()
  })

  it('prints on A4', async () => {
    // What is left of 210 mm between margins of 15 mm, at 96 dpi.
    const page = await browser.newPage({ viewport: { width: 680, height: 1000 } })
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    await page.goto(pathToFileURL(file).href)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(680)
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)')
    await page.close()
  })
})
