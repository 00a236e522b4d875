package export_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/convert/export"
)

// records of an archive, by name.
func unzip(t testing.TB, path string) (names []string, data map[string][]byte) {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	data = map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		names, data[f.Name] = append(names, f.Name), b
	}
	return names, data
}

// pack writes records, deflated.
func pack(t testing.TB, names []string, data map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		if data[name] == nil {
			continue
		}
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(data[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(b []byte) error {
	_, err := export.Read(bytes.NewReader(b), int64(len(b)), "x.pt2")
	return err
}

// TestHostile: what is wrong with an archive is told by record or node.
func TestHostile(t *testing.T) {
	const root, model = "residual/", "residual/models/model.json"
	for _, c := range []struct {
		name   string
		change func(data map[string][]byte) (more []string)
		is     error
		want   string
	}{
		{"deflated", func(map[string][]byte) []string { return nil }, nil, ""},
		{"format", func(d map[string][]byte) []string { d[root+"archive_format"] = []byte("pt3"); return nil }, export.ErrArchive, `archive_format is "pt3"`},
		{"endian", func(d map[string][]byte) []string { d[root+"byteorder"] = []byte("big"); return nil }, export.ErrArchive, "byteorder"},
		{"no program", func(d map[string][]byte) []string { d[model] = nil; return nil }, export.ErrArchive, "no program"},
		{"two roots", func(d map[string][]byte) []string { d["other/x"] = []byte("x"); return []string{"other/x"} }, export.ErrArchive, "does not lie under"},
		{"old", func(d map[string][]byte) []string {
			d["serialized_exported_program.json"] = []byte("{}")
			return []string{"serialized_exported_program.json"}
		}, export.ErrArchive, "save it again with torch 2.9"},
		{"pickled weights", func(d map[string][]byte) []string {
			d[root+"data/weights/model.pt"] = []byte("PK")
			return []string{root + "data/weights/model.pt"}
		}, export.ErrArchive, "torch 2.9 or later"},
		{"custom object", func(d map[string][]byte) []string {
			d[root+"data/constants/custom_obj_0"] = []byte("x")
			return []string{root + "data/constants/custom_obj_0"}
		}, export.ErrUnsupported, "custom_obj_0"},
		{"compiled", func(d map[string][]byte) []string {
			d[model] = nil
			d[root+"data/aotinductor/model/x.so"] = []byte("x")
			return []string{root + "data/aotinductor/model/x.so"}
		}, export.ErrArchive, "AOTInductor"},
		{"no weights", func(d map[string][]byte) []string { d[root+"data/weights/weight_0"] = nil; return nil }, export.ErrArchive, `record "data/weights/weight_0" is missing`},
		{"short weights", func(d map[string][]byte) []string {
			d[root+"data/weights/weight_0"] = d[root+"data/weights/weight_0"][:100]
			return nil
		}, export.ErrArchive, "its last element lies at"},
		{"not JSON", func(d map[string][]byte) []string { d[model] = []byte("{"); return nil }, export.ErrArchive, "models/model.json"},
		{"version", replaced(model, `"major": 8`, `"major": 9`), export.ErrUnsupported, "schema version 9"},
		{"unknown op", replaced(model, "torch.ops.aten.linear.default", "torch.ops.aten.svd.default"), export.ErrUnsupported, `node "linear" (torch.ops.aten.svd.default) of module "fc": unsupported program: op aten.svd.default is not known`},
		{"lowered", replaced(model, "torch.ops.aten.linear.default", "torch.ops.onednn.qlinear_pointwise.default"), export.ErrUnsupported, "before lower_pt2e"},
		{"unknown argument", replaced(model, `"name": "start_dim"`, `"name": "beginning"`), export.ErrUnsupported, "beginning"},
		{"union of two", replaced(model, `{"as_ints": [2, 2]}`, `{"as_ints": [2, 2], "as_int": 2}`), export.ErrArchive, "must have one"},
		{"undefined", replaced(model, `{"as_tensor": {"name": "conv2d"}}`, `{"as_tensor": {"name": "nothing"}}`), export.ErrArchive, `tensor "conv2d" is not defined here`},
		{"negative stride", replaced(root+"data/weights/model_weights_config.json", `"strides": [{"as_int": `, `"strides": [{"as_int": -`), export.ErrArchive, "stride -"},
		{"far stride", replaced(root+"data/weights/model_weights_config.json", `"strides": [{"as_int": `, `"strides": [{"as_int": 9`), export.ErrArchive, "its last element"},
		{"a cycle", replaced(model, `{"name": "input", "arg": {"as_tensor": {"name": "x"}}`, `{"name": "input", "arg": {"as_tensor": {"name": "linear"}}`), export.ErrArchive, `tensor "linear" is not defined here: inputs and nodes before give no such tensor, so the graph has a cycle or its nodes are out of order`},
		{"a subclass", replaced(root+"data/weights/model_weights_config.json", `"use_pickle": false`, `"use_pickle": true`), export.ErrUnsupported, "pickle"},
		{"a mutation", replaced(model, `"user_output"`, `"buffer_mutation"`), export.ErrUnsupported, "changes its state"},
		{"written to", replaced(model, `{"name": "self", "arg": {"as_tensor": {"name": "batch_norm"}}`, `{"name": "self", "arg": {"as_tensor": {"name": "x"}}`), export.ErrUnsupported, `writes to "x"`},
	} {
		names, data := unzip(t, "../../testdata/export/residual.pt2")
		names = append(names, c.change(data)...)
		err := read(pack(t, names, data))
		if c.is == nil && err != nil || c.is != nil && (!errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	// what the directory of an archive claims: its entries have the name 46 bytes behind their start
	for _, c := range []struct {
		name   string
		change func(entry []byte, all [][]byte)
		want   string
	}{
		{"2 GiB of JSON", func(e []byte, _ [][]byte) { binary.LittleEndian.PutUint32(e[24:], 1<<31) }, "claims 2147483648 bytes, at most"},
		{"more than deflate can", func(e []byte, _ [][]byte) {
			binary.LittleEndian.PutUint32(e[24:], binary.LittleEndian.Uint32(e[20:])*1100)
		}, "bytes, at most"},
		{"another size", func(e []byte, _ [][]byte) { e[24]++ }, "record \"models/model.json\""},
		{"another checksum", func(e []byte, _ [][]byte) { e[16]++ }, "checksum"},
		{"overlap", func(e []byte, all [][]byte) { copy(e[42:46], all[1][42:46]) }, "overlap"},
		{"one in the other", func(e []byte, all [][]byte) {
			binary.LittleEndian.PutUint32(all[1][20:], binary.LittleEndian.Uint32(all[1][20:])+500)
		}, "overlap"},
		{"encrypted", func(e []byte, _ [][]byte) { e[8] |= 1 }, "is encrypted"},
		{"method", func(e []byte, _ [][]byte) { e[10] = 12 }, "by method 12"},
		{"upwards", func(e []byte, _ [][]byte) { copy(e[46:], "residual/../odel") }, "does not lie under"},
		{"far away", func(e []byte, _ [][]byte) { binary.LittleEndian.PutUint32(e[42:], 1<<30) }, "record"},
	} {
		names, data := unzip(t, "../../testdata/export/residual.pt2")
		b := pack(t, names, data)
		at, entry := bytes.Index(b, []byte("PK\x01\x02")), 0
		var all [][]byte
		for at+46 <= len(b) && string(b[at:at+4]) == "PK\x01\x02" {
			n := 46 + int(binary.LittleEndian.Uint16(b[at+28:])) + int(binary.LittleEndian.Uint16(b[at+30:]))
			if strings.HasSuffix(string(b[at+46:at+n]), "models/model.json") {
				entry = len(all)
			}
			all, at = append(all, b[at:at+n]), at+n
		}
		c.change(all[entry], all)
		if err := read(b); !errors.Is(err, export.ErrArchive) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	names, data := unzip(t, "../../testdata/export/residual.pt2")
	if err := read(pack(t, append(names, names[len(names)/2]), data)); !errors.Is(err, export.ErrArchive) || !strings.Contains(err.Error(), "is there twice") {
		t.Errorf("a record twice: %v", err)
	}
	for name, shape := range map[string]string{"absurd": `[{"as_int": 1000000000}, {"as_int": 1000000000}`, "beyond 64 bits": `[{"as_int": 99999999999999999999}, {"as_int": 2}`, "negative": `[{"as_int": -3}, {"as_int": 2}`} {
		names, data := unzip(t, "../../testdata/export/residual.pt2")
		replaced(root+"data/weights/model_weights_config.json", `"sizes": [`, `"sizes": `+shape+`, `)(data)
		if err := read(pack(t, names, data)); !errors.Is(err, export.ErrArchive) {
			t.Errorf("%s shape: %v", name, err)
		}
	}
	whole, err := os.ReadFile("../../testdata/export/residual.pt2")
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += 4099 {
		if err := read(whole[:n]); !errors.Is(err, export.ErrArchive) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	flipped := bytes.Clone(whole)
	flipped[bytes.Index(whole, []byte("models/model.json"))+4000] ^= 1
	if err := read(flipped); !errors.Is(err, export.ErrArchive) {
		t.Errorf("a flipped bit: %v", err)
	}
}

// TestQuantizedHostile: what is wrong with the numbers of a quantized program is told, and so is arithmetic on codes.
func TestQuantizedHostile(t *testing.T) {
	const model, quantize = "branches.pt2e/models/model.json", "torch.ops.quantized_decomposed.quantize_per_tensor.default"
	for _, c := range []struct{ name, old, text, want string }{
		{"16 bits", `"quant_max", "arg": {"as_int": 255}`, `"quant_max", "arg": {"as_int": 65535}`, "only 8 bits"},
		{"zero point outside", `"quant_max", "arg": {"as_int": 255}`, `"quant_max", "arg": {"as_int": -1}`, "codes 0 to -1"},
		{"no scale", `"scale", "arg": {"as_float": `, `"scale", "arg": {"as_float": -`, "scale -"},
		{"another pair", "torch.ops.quantized_decomposed.dequantize_per_tensor.default", "torch.ops.aten.linear.default", "is quantized: only dequantize_per_tensor"},
		{"unknown form", quantize, "torch.ops.quantized_decomposed.quantize_per_token.default", "quantize_per_token.default is not known"},
		{"axis", `"axis", "arg": {"as_int": 0}`, `"axis", "arg": {"as_int": 9}`, "axis 9"},
	} {
		names, data := unzip(t, "../../testdata/export/branches.pt2e.pt2")
		if !strings.Contains(string(data[model]), c.old) {
			t.Fatalf("%s: nothing to change", c.name)
		}
		replaced(model, c.old, c.text)(data)
		if err := read(pack(t, names, data)); !errors.Is(err, export.ErrUnsupported) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// replaced changes the first of a text in a record.
func replaced(record, old, text string) func(map[string][]byte) []string {
	return func(d map[string][]byte) []string {
		d[record] = []byte(strings.Replace(string(d[record]), old, text, 1))
		return nil
	}
}

// seeds are the programs of testdata/export/seeds: small ones, so that a fuzzer gets far.
func seeds(f *testing.F) []string {
	list, err := filepath.Glob("../../testdata/export/seeds/*.pt2")
	if err != nil || len(list) == 0 {
		f.Fatal("no seeds", err)
	}
	return list
}

// FuzzArchive: no bytes crash the reader.
func FuzzArchive(f *testing.F) {
	for _, path := range seeds(f) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { known(t, read(data)) })
}

// FuzzProgram: no program crashes the importer. The records beside it are those of a convolution.
func FuzzProgram(f *testing.F) {
	const model = "conv/models/model.json"
	for _, path := range seeds(f) {
		name := strings.TrimSuffix(filepath.Base(path), ".pt2")
		_, data := unzip(f, path)
		f.Add(data[name+"/models/model.json"])
	}
	names, data := unzip(f, "../../testdata/export/seeds/conv.pt2")
	f.Fuzz(func(t *testing.T, program []byte) {
		own := maps.Clone(data)
		own[model] = program
		known(t, read(pack(t, names, own)))
	})
}

func known(t *testing.T, err error) {
	if err != nil && strings.Contains(err.Error(), "panic") {
		t.Fatal(err)
	}
}
