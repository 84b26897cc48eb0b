import { type Template, type Token, TypeGuards, toValueSync, Value } from 'liquidjs'

/** A name that a template asks for, such as `draft.output` or `vars[input]`. */
export interface NameUse {
  readonly segments: readonly (string | number | NameUse)[]
  /** UTF-16 units from the start of the template. */
  readonly offset: number
  /** As it is written. */
  readonly text: string
  /** Whether the template itself has made it: by an assignment, a capture, a loop. */
  readonly isLocal: boolean
}

type Argument = Value | Token

interface Children {
  children?(partials: boolean, sync: boolean): unknown
}

/** The templates within one. */
const childrenOf = (template: Template): readonly Template[] =>
  (template as Children).children === undefined
    ? []
    : (toValueSync((template as Children).children!(false, true) as never) as Template[])

/** Calls back for every template, those within others after these. */
export function eachTemplate(templates: readonly Template[], visit: (template: Template) => void): void {
  for (const template of templates) {
    visit(template)
    eachTemplate(childrenOf(template), visit)
  }
}

/** What stands in an expression: its operands and operators, and the arguments of its filters. */
function* partsOf(argument: Argument): Generator<Token, void, undefined> {
  if (!(argument instanceof Value || TypeGuards.isFilteredValueToken(argument))) {
    yield argument
    return
  }
  yield* argument.initial.postfix as Token[]
  for (const { args } of argument.filters)
    for (const arg of args) {
      const token = Array.isArray(arg) ? arg[1] : arg
      if (token !== undefined) yield* partsOf(token)
    }
}

/** How many operands, operators, keys of names and filters its own expressions have, without those of the templates within it. */
export function operandsOf(template: Template): number {
  let count = 0
  const add = (argument: Argument): void => {
    if (argument instanceof Value || TypeGuards.isFilteredValueToken(argument)) count += argument.filters.length
    for (const token of partsOf(argument)) {
      count += 1
      if (TypeGuards.isPropertyAccessToken(token)) for (const key of token.props) add(key)
      if (TypeGuards.isRangeToken(token)) for (const end of [token.lhs, token.rhs]) add(end)
      if (TypeGuards.isFilteredValueToken(token)) add(token)
    }
  }
  for (const argument of template.arguments?.() ?? []) add(argument as Argument)
  return count
}

/** Every name that the templates ask for, in the order in which they are rendered. */
export function namesOf(templates: readonly Template[]): NameUse[] {
  const found: NameUse[] = []
  const made = new Set<string>()
  const blocks: ReadonlySet<string>[] = []
  const isLocal = (root: unknown) =>
    typeof root === 'string' && (made.has(root) || blocks.some((names) => names.has(root)))

  const use = (token: Token & { readonly props: readonly Token[] }): NameUse => {
    const segments = token.props.map((key) =>
      TypeGuards.isPropertyAccessToken(key) ? use(key) : ((key as { content?: string | number }).content ?? ''),
    )
    const name = { segments, offset: token.begin, text: token.getText(), isLocal: isLocal(segments[0]) }
    found.push(name)
    return name
  }
  const look = (argument: Argument): void => {
    for (const token of partsOf(argument)) {
      if (TypeGuards.isPropertyAccessToken(token)) {
        // What is asked of a text or a range, as in `(1..3).last`, is no name.
        if (token.variable === undefined) use(token)
        else look(token.variable)
      } else if (TypeGuards.isRangeToken(token)) for (const end of [token.lhs, token.rhs]) look(end)
      else if (TypeGuards.isFilteredValueToken(token)) look(token)
    }
  }
  const visit = (template: Template): void => {
    for (const argument of template.arguments?.() ?? []) look(argument as Argument)
    for (const { content } of template.localScope?.() ?? []) made.add(content)
    if (template.blockScope !== undefined) blocks.push(new Set(template.blockScope()))
    for (const child of childrenOf(template)) visit(child)
    if (template.blockScope !== undefined) blocks.pop()
  }
  for (const template of templates) visit(template)
  return found
}
