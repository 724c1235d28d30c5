// What the package takes from the rest of mien: its networks, as they lie in the wheel, and the licence.
import { copyFileSync } from "node:fs";

const root = new URL("../../../../", import.meta.url);
const here = new URL("../", import.meta.url);
for (const name of ["mien.onnx", "landmarks68.onnx", "proposals.onnx"]) {
  copyFileSync(new URL(`src/mien/weights/shipped/${name}`, root), new URL(`models/${name}`, here));
}
copyFileSync(new URL("LICENSE", root), new URL("LICENSE", here));
