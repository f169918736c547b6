// Print arrays of a Zarr group as zarrita reads them: one JSON object.
// Run by readers.py as `node read_zarrita.mjs PATH NAME...`, from a folder that holds node_modules.
import { FileSystemStore } from "@zarrita/storage";
import * as zarr from "zarrita";

const NUMPY_DTYPES = {
  bool: "|b1",
  int8: "|i1", int16: "<i2", int32: "<i4", int64: "<i8",
  uint8: "|u1", uint16: "<u2", uint32: "<u4", uint64: "<u8",
  float16: "<f2", float32: "<f4", float64: "<f8",
  string: "string",
};

// JSON has no 64-bit integers, NaN, infinities or -0: they travel as strings.
function toJson(value) {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "number") return value;
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? value : String(value);
}

async function values(array) {
  if (array.shape.includes(0)) return []; // zarr.get throws on an empty array (zarrita 0.7)
  const chunk = await zarr.get(array);
  return array.shape.length === 0 ? [chunk] : Array.from(chunk.data);
}

const [path, ...names] = process.argv.slice(2);
const root = zarr.root(new FileSystemStore(path));
const documents = {};
for (const name of names) {
  const array = await zarr.open.v3(root.resolve(name), { kind: "array" });
  documents[name] = {
    dtype: NUMPY_DTYPES[array.dtype],
    shape: array.shape,
    dims: array.dimensionNames,
    values: (await values(array)).map(toJson),
  };
}
process.stdout.write(JSON.stringify(documents));
