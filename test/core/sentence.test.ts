import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { completeSentences, SentenceScanner } from '../../src/core/sentence.ts'

const count = (pieces: readonly string[]) => {
  const scanner = new SentenceScanner()
  return pieces.map((piece) => scanner.feed(piece))
}

/** The sentences of a text that are shown to be over while it comes character by character, trimmed; and what is left. */
function read(text: string): { readonly over: readonly string[]; readonly rest: string } {
  const scanner = new SentenceScanner()
  const ends = [0]
  for (const unit of text.split('')) if (scanner.feed(unit) > 0) ends.push(scanner.ended)
  return {
    over: ends.slice(1).map((end, index) => text.slice(ends[index], end).trim()),
    rest: text.slice(ends.at(-1)).trim(),
  }
}

/** Each text in its sentences, the last of which has just begun. */
const written: Readonly<Record<string, readonly string[]>> = {
  English: ['This is one.', 'Is this two?', 'Three!', 'Four'],
  Hindi: ['यह पहला वाक्य है।', 'यह दूसरा वाक्य है॥', 'और'],
  Urdu: ['یہ پہلا جملہ ہے۔', 'کیا یہ دوسرا ہے؟', 'اور'],
  Arabic: ['هل تسمعني؟', 'نعم، أسمعك.', 'ثم'],
  Hebrew: ['שלום.', 'מה שלומך?', 'טוב'],
  Armenian: ['Սա առաջինն է։', 'Սա երկրորդն է։', 'Եւ'],
  Amharic: ['ይህ የመጀመሪያው፣ ነው።', 'ይህ ሁለተኛው ነው፧', 'እና'],
  Burmese: ['ဒါက ပထမ ဖြစ်တယ်။', 'ဒါက ဒုတိယ ဖြစ်တယ်။', 'နှင့်'],
  Khmer: ['ខ្ញុំទៅសាលា។', 'គាត់មក៕', 'ហើយ'],
  Tibetan: ['བོད་སྐད།', 'གཉིས་པ༎', 'གསུམ'],
  Mongolian: ['ᠨᠢᠭᠡ᠃', 'ᠬᠣᠶᠠᠷ᠃', 'ᠭᠤᠷᠪᠠ'],
  Greek: ['Τι κάνεις;', 'Καλά· εσύ;', 'Ναι'],
  Georgian: ['გამარჯობა.', 'როგორ ხარ?', 'კარგად'],
  Korean: ['안녕하세요.', '반갑습니다!', '그리고'],
  Spanish: ['¿Qué tal?', '¡Muy bien!', '«Sí.»', 'Vale'],
  'quotation marks': ['“Stop!” she said.', '“Go.”', '‘Yes.’', '"No."', '(So be it.)', 'He'],
  'an opening bracket behind a sentence': ['He left.', '(She stayed.)', '“They came,” he said.', 'Then'],
  German: ['„Halt.“', '»Nein.«', '‚Doch.‘', 'Er sagte „Ja.“ und ging.', 'Dann'],
  French: ['« Bonjour. »', 'Il dit « oui ! » et part.', 'Quoi ?', 'Rien'],
  Swedish: ['”Hej.”', 'Han gick.', 'Sen'],
  'Markdown around a sentence': ['**Done.**', '_Next._', 'Use `a.b`.', 'End'],
  titles: ['I met Dr. Smith and Mrs. Jones at St. Paul.', 'Prof. Dr. Meyer came.', 'Then'],
  'short forms': ['Fruit, e.g. Apples, i.e. Food vs. Drink.', 'Obst, z.B. Äpfel, d. h. Essen.', 'Dann'],
  initials: ['J. R. R. Tolkien saw the U.S. Senate.', 'А. С. Пушкин жил.', 'So do I.', 'Then'],
  'times and others that end sentences': ['He came at 5 p.m.', 'Pears, plums etc.', 'Then'],
  numbers: ['It costs 3.50 or 1.000.000,00 in 2.0.1.', 'No. 5 and Fig. 2 are gone.', 'It was 3. 50 came.', 'A'],
  'items of a list': ['1. Fill it.', '2. Heat it.', 'IV. Drink.', '3.1. Clean'],
  addresses: ['See https://a.b/c.html?q=1&x=2!', 'Go to www.example.com or a.b@c.org.', 'Open file.ts.', 'It'],
  code: ['Call f!(x) and a?[0] and x.y() in ./bin or ../conf.', 'It runs.', 'So'],
  ellipses: ['Wait... what?', 'Well…', 'Then...', 'Now.', '他说……然后走了。', '好'],
  'a word that begins with a full stop': ['It is old.', '.NET is new.', 'Yes'],
  'marks in a row': ['Really?!', 'What!!!', 'Quoi ?!', 'No'],
  pictures: ['Great!', '🎉 Next one.', 'Bad ☹️.', 'So'],
  'small letters behind ! and ?': ['hi!', 'how are you?', 'fine'],
  'an accent on a mark': ['The end!\uFE0F', 'Next'],
}

/** Without spaces between sentences. */
const unspaced: Readonly<Record<string, readonly string[]>> = {
  Japanese: ['これは一文目です。', '「これは二文目です。」', '『三』！', 'そして'],
  Chinese: ['好的。', '“明白了。”', '他说:"走吧！"', '然后'],
  'half-width kana': ['ｺﾚﾊ1ﾌﾞﾝ｡', 'ｺﾚﾊ2ﾌﾞﾝ｡', 'ｿｼﾃ'],
  'wide forms': ['２．５円です．', '本当？', 'はい'],
  'ASCII marks in Korean': ['좋아요?', '네!', '그래.', '응'],
  lines: ['A heading\n', 'One line, no mark\n\n', '- an item\r\n', '***\n\nThe end'],
}

describe('sentences of', () => {
  const all = [
    ...Object.entries(written).map(([name, parts]) => [name, parts, ' '] as const),
    ...Object.entries(unspaced).map(([name, parts]) => [name, parts, ''] as const),
  ]

  it.each(all)('%s', (_, parts, space) => {
    const sentences = parts.map((part) => part.trim())
    expect(read(parts.join(space))).toEqual({ over: sentences.slice(0, -1), rest: sentences.at(-1) })
  })

  it.each(all)('%s: those that are complete where a text ends in a mark', (_, parts, space) => {
    const whole = parts.slice(0, -1).join(space)
    expect(completeSentences(whole)).toBe(whole.trimEnd().length)
    expect(completeSentences(whole + space)).toBe(whole.trimEnd().length)
  })
})

describe('sentence ends in a stream', () => {
  it('are told when the next sentence begins, or with their line', () => {
    expect(count(['One', ' two', '.', ' Three', '.', ' '])).toEqual([0, 0, 0, 1, 0, 0])
    expect(count(['It costs 3', '.', '50', ' now', '.', ' Yes'])).toEqual([0, 0, 0, 0, 0, 1])
    expect(count(['Yes! Why? No. D'])).toEqual([3])
    expect(count(['One', '\n', '\n', 'Two'])).toEqual([0, 1, 0, 0])
    expect(count(['。', '好。', '”', '好'])).toEqual([0, 0, 0, 1])
  })

  it('need a letter, a digit or a symbol in front of the mark', () => {
    expect(count(['...', ' ', '?!', ' ', '---\n', '"', 'Yes'])).toEqual([0, 0, 0, 0, 0, 0, 0])
  })

  it('are waited for no longer than some characters that say nothing', () => {
    expect(count(['Done. ', ...Array(100).fill('🎉')]).reduce((sum, each) => sum + each, 0)).toBe(1)
  })

  it('are none in a long chain of full stops', () => {
    for (const piece of ['U.S.', 'A.', 'a.b', 'e.g. a', '.', '. ']) {
      const ends = count(Array(500).fill(piece)).reduce((sum, each) => sum + each, 0)
      expect(ends, piece).toBe(0)
    }
  })

  const atoms = [
    ...[
      '.',
      '. ',
      '!',
      '? ',
      '…',
      '...',
      '\n',
      '\r\n',
      ' ',
      ',',
      '(',
      ')',
      '"',
      "'",
      '“',
      '”',
      '„',
      '«',
      '»',
      '*',
      '/',
    ],
    ...['a', 'B', '7', 'é', 'word', 'e.g', 'U.S', 'Dr', 'No', 'x.ts', '3.5', 'https://a.b/?c', '1'],
    ...['文', '。', '「', '」', 'है', '।', '؟', '🫖', '👩‍👧', '\u0301', '\uFE0F', '\ud83d', '\ude00'],
  ]
  const text = fc.array(fc.constantFrom(...atoms), { maxLength: 40 }).map((parts) => parts.join(''))

  it('do not depend on where a text is cut, be it inside a character', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(6)), (whole, cuts) => {
        const pieces: string[] = []
        let from = 0
        for (const cut of cuts) {
          pieces.push(whole.slice(from, from + cut))
          from += cut
        }
        pieces.push(whole.slice(from))
        const [once, cut] = [new SentenceScanner(), new SentenceScanner()]
        const ends = once.feed(whole)
        expect(pieces.reduce((sum, piece) => sum + cut.feed(piece), 0)).toBe(ends)
        expect([cut.ended, cut.complete]).toEqual([once.ended, once.complete])
      }),
      { numRuns: 2_000 },
    )
  })

  it('lie in order, behind no space and inside no character', () => {
    const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' })
    fc.assert(
      fc.property(text, (written) => {
        const whole = written.toWellFormed()
        const scanner = new SentenceScanner()
        let before = 0
        for (const unit of whole.split('')) {
          if (scanner.feed(unit) === 0) continue
          expect(scanner.ended).toBeGreaterThan(before)
          before = scanner.ended
        }
        expect(scanner.complete).toBeGreaterThanOrEqual(scanner.ended)
        expect(scanner.complete).toBeLessThanOrEqual(whole.length)
        const kept = whole.slice(0, completeSentences(whole))
        expect(kept.trimEnd()).toBe(kept)
        const starts = [...graphemes.segment(whole)].map(({ index }) => index)
        expect([...starts, whole.length]).toContain(kept.length)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('the complete sentences of a text that may go on', () => {
  it.each([
    ['One. Two', 'One.'],
    ['One. “Two', 'One.'],
    ['One.” ', 'One.”'],
    ['It costs 3.', ''],
    ['It costs 3. ', 'It costs 3.'],
    ['I met Dr.', ''],
    ['Fruit, e.g.', ''],
    ['I said no.', 'I said no.'],
    ['See https://a.b/?', ''],
    ['One.\nTwo lines\nThree', 'One.\nTwo lines'],
    ['好。“好', '好。'],
    ['', ''],
  ])('%j', (text, kept) => {
    expect(text.slice(0, completeSentences(text))).toBe(kept)
  })
})
