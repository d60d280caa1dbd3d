/** A text as one word of a command that can be copied into a shell: as it is where it is plain, else between quotes. */
export function shellWord(text: string): string {
  if (process.platform === 'win32') return /[\s&|<>^;(),%!"']/.test(text) ? `"${text}"` : text
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
