/** What package.json's imports choose: in Node onnxruntime-web's own build for it, else WASM alone. */
declare module "#runtime" {
  export * from "onnxruntime-web";
}
