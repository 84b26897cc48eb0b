/** What a word in front of a full stop makes of it. */
export type WordKind =
  /** Nothing: the sentence may be over. */
  | 'plain'
  /** It goes on with a name, or with what was meant: `Dr.`, `e.g.`, `z.B.`, `J.`. */
  | 'abbreviation'
  /** It goes on with a number, or is over: `No.`, `Fig.`, `3.`. */
  | 'number'

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/u))

/** Behind these a name or an example follows. In lower case. */
const abbreviations = words(
  `mr mrs ms mx dr prof rev hon gen col capt lt sgt cpl sen rep gov pres st mt ft messrs ph.d m.sc b.sc vs viz cf approx incl excl esp
  hr fr ing dipl med bzw ca evtl ggf inkl exkl vgl sog geb gest bspw zzgl abzgl
  mme mlle mgr sr sra srta dña ud uds sig dott avv dhr mevr bijv drs np tzn
  проф акад см напр ул им тов гр`,
)
/** Behind these a number follows. In lower case. */
const numbered = words(
  `no nos nr fig figs eq eqs sec ch chap vol vols pp art arts abb tab kap bd ziff abs anm núm num pág cap
  jan feb mar apr jun jul aug sep sept oct okt nov dec dez рис табл гл стр`,
)
/** Full stops between single letters that often end a sentence all the same. */
const times = words('a.m p.m')

const digits = /^\p{N}+(?:\.\p{N}+)*$/u
const initials = /^(?:[\p{Lu}\p{Ll}\p{Lt}]\p{M}*\.)*[\p{Lu}\p{Ll}\p{Lt}]\p{M}*$/u
const roman = /^[IVXLCDM]+$/u

/** The longest word that is looked at, in UTF-16 units. */
export const LONGEST_ABBREVIATION = 12

/** What a full stop behind this word is; `word` without the stop itself. */
export function kindOfWord(word: string): WordKind {
  if (digits.test(word)) return 'number'
  const small = word.toLowerCase()
  if (abbreviations.has(small)) return 'abbreviation'
  if (numbered.has(small)) return 'number'
  return initials.test(word) && word !== 'I' && !times.has(small) ? 'abbreviation' : 'plain'
}

/** Whether a word that begins a sentence numbers it: `1.`, `2.3.`, `IV.`. */
export const isItemNumber = (word: string): boolean => digits.test(word) || roman.test(word)
