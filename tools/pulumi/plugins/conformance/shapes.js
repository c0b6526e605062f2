// Prints, as JSON, the shape of an npm package's inputs as its type declarations have it. For conformance.go.
// usage: node shapes.js PACKAGE_DIRECTORY FILE:INTERFACE...
import { readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";

const [directory, ...wanted] = process.argv.slice(2);

/** The interfaces of one declaration file, by name. */
function interfaces(file) {
  const name = path.join(directory, file);
  const source = ts.createSourceFile(name, readFileSync(name, "utf8"), ts.ScriptTarget.Latest, true);
  const found = new Map();
  const visit = (node) => {
    if (ts.isInterfaceDeclaration(node)) found.set(node.name.text, node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const nested = interfaces("types/input.d.ts");

function shapeOf(type) {
  if (ts.isUnionTypeNode(type)) return shapeOf(type.types[0]); // X | undefined
  if (ts.isTypeReferenceNode(type)) {
    const name = type.typeName.getText();
    if (name === "pulumi.Input") return shapeOf(type.typeArguments[0]);
    if (name.startsWith("inputs.")) return { fields: fieldsOf(nested.get(name.slice("inputs.".length))) };
  }
  if (ts.isArrayTypeNode(type)) return { ...shapeOf(type.elementType), list: true };
  if (ts.isTypeLiteralNode(type)) return { map: true };
  return {};
}

function fieldsOf(declaration) {
  return Object.fromEntries(
    declaration.members.map((member) => [member.name.getText(), shapeOf(member.type)]),
  );
}

console.log(
  JSON.stringify(
    Object.fromEntries(
      wanted.map((each) => {
        const [file, name] = each.split(":");
        return [name, fieldsOf(interfaces(file).get(name))];
      }),
    ),
  ),
);
