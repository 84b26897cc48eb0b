/**
 * The version of what tokens and waste mean: trials are compared only with trials of the same one. It rises when counts change their
 * meaning. Absent in a record, a trial or an execution, it is 1.
 */
export const COUNTING = 2

export const countingOf = ({ counting = 1 }: { readonly counting?: number | undefined }): number => counting
