// A TypeDoc plugin: links to names that another entry point of the library exports lead there.

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.addUnknownSymbolResolver((reference, from) => {
    const path = reference.symbolReference?.path?.map(part => part.path) ?? []
    const found = from.project.children?.map(module => module.getChildByName(path)).find(Boolean)
    return found && { target: found, caption: path.at(-1) }
  })
}
