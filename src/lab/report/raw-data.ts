import { html, type Markup } from '../../pages/html.ts'

/** A link holds so many bytes of data; what is more is left to the command. */
const MOST_BYTES = 1_500_000

/** The trials: in the page itself where they are few enough, and always the command that prints them. */
export function rawData(experiment: string, data: readonly string[] | undefined, command: string): Markup {
  const text = data === undefined || data.length === 0 ? undefined : `${data.join('\n')}\n`
  const bytes = text === undefined ? 0 : Buffer.byteLength(text)
  return html`${
    text !== undefined &&
    bytes <= MOST_BYTES &&
    html`<p class="screen"><a download="${fileName(experiment)}" href="data:application/x-ndjson;base64,${Buffer.from(text).toString('base64')}">The ${data!.length.toLocaleString('en-US')} trials as NDJSON</a>: one a line, warm-ups left out, ${Math.ceil(bytes / 1000).toLocaleString('en-US')} kB.</p>`
  }
<p>From the records:</p>
<pre>${command}</pre>`
}

const fileName = (experiment: string) => `${experiment.replace(/[^\p{L}\p{N}._-]+/gu, '-').slice(0, 80)}.ndjson`
