import js from "@eslint/js";
import pulumi from "@pulumi/eslint-plugin";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules", ".tools", ".demo", ".sandbox", ".stryker-tmp", "tools"] },
  js.configs.recommended,
  { files: ["**/*.cjs"], languageOptions: { globals: { process: "readonly" } } },
  {
    files: ["**/*.ts"],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    plugins: { "@pulumi": pulumi },
    rules: {
      "@pulumi/no-output-in-template-literal": "error",
      "@pulumi/no-output-instance-in-template-literal": "error",
      // A Pulumi resource is made for its effect; many are never named again.
      "no-new": "off",
      "@typescript-eslint/no-import-type-side-effects": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    },
  },
  {
    files: ["operator/**/*.ts", "infra/model/**/*.ts"],
    rules: {
      // Pulumi's SDK takes most of a second to load, and no command needs it: infra/model/ is what both sides share.
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              group: ["@pulumi/*", "**/infra/*", "!**/infra/model", "**/sandbox/**", "**/test/**"],
            },
          ],
        },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      // The promises that mocha's describe and it return need no await.
      "@typescript-eslint/no-floating-promises": "off",
    },
  },
);
