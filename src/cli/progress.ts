import { oneLine, type Screen } from './screen.ts'

/** One line that says what is going on. */
export interface Progress {
  begin(title: string): void
  tell(what: string): void
  /** Leaves nothing behind on a terminal. */
  end(): void
}

const CLEAR = '\r\u001b[K'

/** Redraws its line where a screen may be redrawn; elsewhere it says the title, once. */
export function progressOn({ rows, width, paint, write }: Screen): Progress {
  const live = rows !== undefined
  let title = ''
  const draw = (text: string) => write(CLEAR + paint('quiet', oneLine(text, width - 1)))
  return {
    begin(text) {
      title = text
      if (live) draw(`${title} …`)
      else write(`${title} …\n`)
    },
    tell(what) {
      if (live) draw(`${title}: ${what} …`)
    },
    end() {
      if (live) write(CLEAR)
    },
  }
}
