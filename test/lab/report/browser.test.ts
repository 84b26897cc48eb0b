import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { abPage } from '../../../src/lab/report/ab-page.ts'
import { overheadPage } from '../../../src/lab/report/overhead-page.ts'
import { findChromium } from '../../cli/explain-page/browser.ts'
import { fixtureOf, sixteen } from './fixtures.ts'
import { overhead } from './overhead-fixture.ts'

const executablePath = findChromium()
if (executablePath === undefined) console.log('skipped: no Chromium on the PATH or at CHROMIUM_PATH to show reports in')

const report = fixtureOf()
const pages = { two: abPage(report), sixteen: abPage(fixtureOf(sixteen, 2, 4, 4)), overhead: overheadPage(overhead) }
type Name = keyof typeof pages

/** What runs in the page, which this file is not typed for. Drawn text that lies over other drawn text, or beyond its drawing. */
const clashes = `(() => {
  const seen = (element) => element.getClientRects().length > 0
  const found = []
  for (const svg of [...document.querySelectorAll('.drawing svg')].filter(seen)) {
    const frame = svg.getBoundingClientRect()
    const texts = [...svg.querySelectorAll('text')].filter((text) => text.textContent.trim() !== '').map((text) => ({ words: text.textContent, box: text.getBoundingClientRect() }))
    for (const [index, { words, box }] of texts.entries()) {
      if (box.left < frame.left - 2 || box.right > frame.right + 2 || box.top < frame.top - 2 || box.bottom > frame.bottom + 2) found.push('beyond: ' + words)
      for (const other of texts.slice(index + 1)) {
        const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left)
        const down = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top)
        if (across > 1 && down > 3) found.push(words + ' over ' + other.words)
      }
    }
  }
  return found
})()`

const smallestText = `Math.min(...[...document.querySelectorAll('.drawing svg text')].filter((text) => text.getClientRects().length > 0)
  .map((text) => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a))`

describe.skipIf(executablePath === undefined)('reports in Chromium', () => {
  const folder = mkdtempSync(join(tmpdir(), 'caesura-report-'))
  const fileOf = (name: Name) => join(folder, `${name}.html`)
  let browser: Browser
  beforeAll(async () => {
    for (const [name, page] of Object.entries(pages)) writeFileSync(fileOf(name as Name), page)
    browser = await chromium.launch({
      executablePath: executablePath!,
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    })
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true })
  })

  async function open(name: Name, width: number) {
    const page = await browser.newPage({ viewport: { width, height: 900 } })
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('request', (request) => {
      if (!/^(file|data):/.test(request.url())) complaints.push(request.url())
    })
    await page.goto(pathToFileURL(fileOf(name)).href)
    return { page, complaints }
  }

  const widthOf = (page: Page) => page.evaluate<number>('document.documentElement.scrollWidth')

  it.each(['two', 'sixteen', 'overhead'] as const)(
    '%s: fits a phone, a screen and A4, in light and dark; its text is read; nothing complains',
    async (name) => {
      const { page, complaints } = await open(name, 390)
      // The last is what is left of 210 mm between margins of 15 mm, at 96 dpi.
      for (const [width, media, colorScheme] of [
        [390, 'screen', 'light'],
        [1440, 'screen', 'dark'],
        [680, 'print', 'dark'],
      ] as const) {
        await page.setViewportSize({ width, height: 900 })
        await page.emulateMedia({ media, colorScheme })
        expect(await widthOf(page)).toBeLessThanOrEqual(width)
        expect(await page.evaluate(clashes)).toEqual([])
        expect(await page.evaluate(smallestText)).toBeGreaterThanOrEqual(12)
      }
      expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)')
      expect(complaints).toEqual([])
      await page.close()
    },
  )

  it('has a name and words for every drawing, and landmarks, headings and tables that are named', async () => {
    const { page } = await open('two', 1440)
    const drawings = await page.getByRole('img').all()
    expect(drawings.length).toBeGreaterThan(5)
    const said = await page.locator('body').ariaSnapshot()
    expect(said).toContain('img "Difference from drain, with its 95 % interval"')
    expect(said).toContain('table "Every arm against drain"')
    expect(said).toContain('columnheader "p (Holm)"')
    expect(said).toContain('rowheader "interrupt → first token, median"')
    expect(said).toMatch(/- banner:[\s\S]*- main:/)
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1)
    await page.close()
  })

  it('gives its trials as a file', async () => {
    const { page, complaints } = await open('two', 1440)
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: /NDJSON/ }).click(),
    ])
    expect(download.suggestedFilename()).toBe('cut-in.ndjson')
    expect(readFileSync(await download.path(), 'utf8')).toBe(`${report.data.join('\n')}\n`)
    expect(complaints).toEqual([])
    await page.close()
  })
})
