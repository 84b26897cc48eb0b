import { html, type Markup } from '../../pages/html.ts'
import type { Analysis } from '../analysis.ts'

/** The words of the tables, for readers who do not live in statistics. */
export function howToRead({ design, comparisons, arms }: Analysis): Markup {
  const unit = design.unit === 'session' ? 'sessions' : 'cells'
  const entries: [string, string][] = [
    [
      'Difference',
      `The arm's value less that of ${design.baseline}. Whether lower or higher is better stands with each metric.`,
    ],
    [
      'Interval',
      `The range in which the difference lies, as often as its level says. Its errors are those of whole ${design.blocks === undefined ? unit : 'blocks'}, because interrupts of one session are alike. Where nothing was found it holds 0.`,
    ],
    [
      'p',
      `The larger one of two: how often ${unit} that were dealt out to the arms anew differ at least as much, and how wide the interval must be to hold 0. Holm's p has the number of comparisons in it: it is the one to believe.`,
    ],
    [
      'Within the margin',
      'Two one-sided tests. "Not shown" does not mean that there is a difference: there may be too little data.',
    ],
    ['Found with 80 % power', 'A difference below this one would often go unseen in an experiment of this size.'],
    [
      'Never reached',
      'The run ended before a first token. Such interrupts stay in: they count as longer than all others, so a quantile among them has no value.',
    ],
    [
      'Wasted',
      'Generated, but neither carried on nor part of the answer that stood. Slot time is wasted after the last token that was used.',
    ],
  ]
  const told = comparisons.length > 0 ? entries : entries.slice(5)
  return html`<dl class="reading">${told.map(
    ([term, meaning]) => html`<dt>${term}</dt><dd>${meaning}</dd>
`,
  )}</dl>
${arms.some(({ warmUps }) => warmUps > 0) && html`<p class="quiet">Warm-ups are counted, and are in no figure.</p>`}`
}
