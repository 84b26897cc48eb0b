import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { barChart } from '../../src/pages/bars.ts'
import { html } from '../../src/pages/html.ts'

describe('html', () => {
  it('escapes text and attributes, once, and leaves markup as it is', () => {
    const inner = html`<b title="${'"x" & \'y\''}">${'<script>'}</b>`
    expect(html`<p>${inner}${[1, html`<i>`]}${undefined}${false}</p>`.source).toBe(
      '<p><b title="&quot;x&quot; &amp; &#39;y&#39;">&lt;script&gt;</b>1<i></p>',
    )
  })

  it('lets no tag, quote, control character or lone surrogate of any text through', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const { source } = html`${text}`
        expect(source).not.toMatch(/[<>"']/)
        expect(source).not.toMatch(/&(?!(?:amp|lt|gt|quot|#39);)/)
        expect(source.isWellFormed()).toBe(true)
      }),
    )
  })
})

describe('barChart', () => {
  it('keeps every bar on the axis, whatever its instants', () => {
    const ms = fc.double({ min: -1e6, max: 1e6, noNaN: true })
    fc.assert(
      fc.property(ms, ms, ms, (from, to, total) => {
        const bar = { from: Math.min(from, to), to: Math.max(from, to), fill: 'cut' as const, title: '' }
        const rows = [{ name: '', facts: '', bars: [bar] }]
        const { source } = barChart({ id: 'c', title: '', description: '', total, rows, tick: String })
        const [, x, width] = /<rect x="([-\d.]+)%" y="\d+" width="([-\d.]+)%"/.exec(source)!.map(Number)
        expect(x).toBeGreaterThanOrEqual(0)
        expect(width).toBeGreaterThanOrEqual(0)
        expect(x! + width!).toBeLessThanOrEqual(100.001)
      }),
    )
  })
})
