package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// raw returns the bytes of a file with a header and that many bytes of data.
func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func entry(name, dtype, shape string, start, end int) string {
	return fmt.Sprintf(`"%s":{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, name, dtype, shape, start, end)
}

func parse(file []byte) (*header, error) {
	return readHeader(bytes.NewReader(file), int64(len(file)))
}

// cases are headers with what must become of them: the error, and words that its message has.
var cases = []struct {
	name string
	file []byte
	err  error
	says string
}{
	// The official crate's ten.
	{"too small", []byte("1234567"), ErrHeaderTooSmall, "found 7 bytes, want at least 8"},
	{"empty file", nil, ErrHeaderTooSmall, "found 0"},
	{"header too large", binary.LittleEndian.AppendUint64(nil, 100_000_001), ErrHeaderTooLarge, "100000001"},
	{"header length overflows", bytes.Repeat([]byte{0xff}, 8), ErrHeaderTooLarge, "18446744073709551615"},
	{"header past the end", raw("{}", 0)[:9], ErrHeaderLength, "2 bytes, 1 follow"},
	{"header not UTF-8", raw("{\"\xff\":1}", 0), ErrHeaderUTF8, ""},
	{"invalid UTF-8 in a name", raw(strings.Replace("{"+entry("aXb", "U8", "[1]", 0, 1)+"}", "X", "\xed\xa0\x80", 1), 1), ErrHeaderUTF8, ""},
	{"hole before the first", raw("{"+entry("a", "U8", "[1]", 1, 2)+"}", 2), ErrOffsets, `tensor "a": data_offsets leave a hole or overlap: found [1 2], want start 0`},
	{"hole", raw("{"+entry("a", "U8", "[1]", 0, 1)+","+entry("b", "U8", "[1]", 2, 3)+"}", 3), ErrOffsets, `"b"`},
	{"overlap", raw("{"+entry("a", "U8", "[2]", 0, 2)+","+entry("b", "U8", "[2]", 1, 3)+"}", 3), ErrOffsets, `"b"`},
	{"same place", raw("{"+entry("a", "U8", "[2]", 0, 2)+","+entry("b", "U8", "[2]", 0, 2)+"}", 2), ErrOffsets, `"b"`},
	{"end before start", raw("{"+entry("a", "U8", "[2]", 0, 2)+","+entry("b", "U8", "[1]", 2, 1)+"}", 2), ErrOffsets, `"b"`},
	{"end before the first start", raw("{"+entry("a", "U8", "[1]", 1, 0)+"}", 0), ErrOffsets, `"a"`},
	{"shape overflows", raw("{"+entry("a", "U8", "[4294967296,4294967296]", 0, 1)+"}", 1), ErrOverflow, `"a"`},
	{"bits overflow", raw("{"+entry("a", "F64", "[1152921504606846976]", 0, 1)+"}", 1), ErrOverflow, `"a"`},
	{"overflow before a zero", raw("{"+entry("a", "U8", "[4294967296,4294967296,0]", 0, 0)+"}", 0), ErrOverflow, `"a"`},
	{"half a byte", raw("{"+entry("a", "F4", "[3]", 0, 2)+"}", 2), ErrSubByte, "12 bits"},
	{"three quarters of a byte", raw("{"+entry("a", "F6_E3M2", "[2]", 0, 2)+"}", 2), ErrSubByte, "12 bits"},
	{"too few bytes", raw("{"+entry("a", "F32", "[2,2]", 0, 12)+"}", 12), ErrTensorSize, "found 12 bytes, want 16 for [2 2] of F32"},
	{"too many bytes", raw("{"+entry("a", "F6_E2M3", "[4]", 0, 4)+"}", 4), ErrTensorSize, "found 4 bytes, want 3"},
	{"truncated", raw("{"+entry("a", "U8", "[4]", 0, 4)+"}", 3), ErrFileLength, "want 65"},
	{"tail", raw("{"+entry("a", "U8", "[4]", 0, 4)+"}", 5), ErrFileLength, "want 65"},
	{"data without tensors", raw("{}", 1), ErrFileLength, "found 11 bytes, want 10"},

	// JSON that is no header.
	{"empty header", raw("", 0), ErrJSON, "found the end"},
	{"only space", raw("   ", 0), ErrJSON, "found the end"},
	{"array", raw("[]", 0), ErrJSON, "'['"},
	{"null", raw("null", 0), ErrJSON, "'n'"},
	{"cut", raw(`{"a":{"dtype":"U8"`, 0), ErrJSON, "found the end"},
	{"second value", raw("{}{}", 0), ErrJSON, "want the end"},
	{"comma at the end", raw("{"+entry("a", "U8", "[1]", 0, 1)+",}", 1), ErrJSON, ""},
	{"NUL behind", raw("{}\x00", 0), ErrJSON, "want the end"},
	{"byte order mark", raw("\ufeff{}", 0), ErrJSON, ""},
	{"single quotes", raw("{'a':1}", 0), ErrJSON, ""},
	{"null entry", raw(`{"a":null}`, 0), ErrJSON, `tensor "a"`},
	{"null shape", raw("{"+entry("a", "U8", "null", 0, 0)+"}", 0), ErrJSON, `tensor "a": shape`},
	{"null metadata", raw(`{"__metadata__":null}`, 0), ErrJSON, "__metadata__"},
	{"number in metadata", raw(`{"__metadata__":{"a":1}}`, 0), ErrJSON, "__metadata__"},
	{"no dtype", raw(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1), ErrJSON, "no dtype"},
	{"no shape", raw(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1), ErrJSON, "no shape"},
	{"no data_offsets", raw(`{"a":{"dtype":"U8","shape":[1]}}`, 1), ErrJSON, "no data_offsets"},
	{"key in capitals", raw(`{"a":{"DTYPE":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), ErrJSON, "no dtype"},
	{"unknown dtype", raw("{"+entry("a", "F7", "[1]", 0, 1)+"}", 1), ErrJSON, `unknown dtype "F7"`},
	{"dtype in small letters", raw("{"+entry("a", "u8", "[1]", 0, 1)+"}", 1), ErrJSON, `unknown dtype "u8"`},
	{"empty dtype", raw("{"+entry("a", "", "[1]", 0, 1)+"}", 1), ErrJSON, `unknown dtype ""`},
	{"one offset", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1]}}`, 1), ErrJSON, "found 1 numbers, want 2"},
	{"three offsets", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}`, 1), ErrJSON, "found 3 numbers, want 2"},
	{"negative", raw("{"+entry("a", "U8", "[-1]", 0, 1)+"}", 1), ErrJSON, `"-1"`},
	{"fraction", raw("{"+entry("a", "U8", "[1.0]", 0, 1)+"}", 1), ErrJSON, `"1.0"`},
	{"exponent", raw("{"+entry("a", "U8", "[1e0]", 0, 1)+"}", 1), ErrJSON, `"1e0"`},
	{"leading zero", raw("{"+entry("a", "U8", "[01]", 0, 1)+"}", 1), ErrJSON, ""},
	{"number past int64", raw("{"+entry("a", "U8", "[9223372036854775808]", 0, 1)+"}", 1), ErrJSON, "9223372036854775808"},
	{"number past uint64", raw("{"+entry("a", "U8", "[1]", 0, 1)[:45]+"99999999999999999999]}}", 1), ErrJSON, ""},
	{"string as number", raw("{"+entry("a", "U8", `["1"]`, 0, 1)+"}", 1), ErrJSON, ""},
	{"half a surrogate pair", raw(`{"\ud800":1}`, 0), ErrJSON, "surrogate"},
	{"wrong surrogate pair", raw(`{"\udc00\ud800":1}`, 0), ErrJSON, "surrogate"},
	{"unknown escape", raw(`{"\x":1}`, 0), ErrJSON, "escape"},
	{"bad \\u", raw(`{"\u00g0":1}`, 0), ErrJSON, "hexadecimal"},
	{"newline in a string", raw("{\"a\n\":1}", 0), ErrJSON, "control character 0xa"},
	{"newline behind an escape", raw("{\"\\t\n\":1}", 0), ErrJSON, "control character 0xa"},
	{"string without an end", raw(`{"a`, 0), ErrJSON, "without an end"},
	{"escape without an end", raw(`{"a\`, 0), ErrJSON, "without an end"},
	{"bad unknown field", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":tru}}`, 1), ErrJSON, ""},
	{"deep unknown field", raw(`{"a":{"x":`+strings.Repeat("[", 1000), 0), ErrJSON, "deeper than 32"},

	// Two keys of one name.
	{"tensor twice", raw("{"+entry("a", "U8", "[1]", 0, 1)+","+entry("a", "U8", "[1]", 0, 1)+"}", 1), ErrDuplicateKey, `"a"`},
	{"tensor twice, spelled differently", raw("{"+entry("a", "U8", "[1]", 0, 1)+","+entry(`\u0061`, "U8", "[1]", 1, 2)+"}", 2), ErrDuplicateKey, `"a"`},
	{"field twice", raw(`{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), ErrDuplicateKey, `tensor "a": key appears twice: "dtype"`},
	{"metadata key twice", raw(`{"__metadata__":{"k":"v","k":"v"}}`, 0), ErrDuplicateKey, `"k"`},
	{"metadata twice", raw(`{"__metadata__":{},"__metadata__":{}}`, 0), ErrDuplicateKey, "__metadata__"},
	{"unknown field twice", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":{"y":1,"y":2}}}`, 1), ErrDuplicateKey, `"y"`},

	// What is sound.
	{"no tensors", raw("{}", 0), nil, ""},
	{"space round the header", raw("\n\t {}  \r", 0), nil, ""},
	{"metadata alone", raw(`{"__metadata__":{"format":"pt"}}`, 0), nil, ""},
	{"scalar", raw("{"+entry("a", "F32", "[]", 0, 4)+"}", 4), nil, ""},
	{"no elements", raw("{"+entry("a", "F32", "[3,0]", 0, 0)+"}", 0), nil, ""},
	{"huge but no elements", raw("{"+entry("a", "F32", "[0,4611686018427387904,4611686018427387904]", 0, 0)+"}", 0), nil, ""},
	{"no elements between two", raw("{"+entry("c", "U8", "[4]", 4, 8)+","+entry("b", "U8", "[0]", 4, 4)+","+entry("a", "U8", "[4]", 0, 4)+"}", 8), nil, ""},
	{"no elements at both ends", raw("{"+entry("a", "U8", "[4]", 0, 4)+","+entry("y", "U8", "[0]", 0, 0)+","+entry("z", "U8", "[0]", 4, 4)+"}", 4), nil, ""},
	{"four of 6 bits", raw("{"+entry("a", "F6_E2M3", "[2,2]", 0, 3)+"}", 3), nil, ""},
	{"unknown fields", raw(`{"a":{"dtype":"U8","x":[1,{"y":null,"z":-1.5e+3,"":true}],"shape":[1],"data_offsets":[0,1]}}`, 1), nil, ""},
	{"escapes", raw("{"+entry(`\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00`, "U8", "[1]", 0, 1)+"}", 1), nil, ""},
	{"empty name", raw("{"+entry("", "U8", "[1]", 0, 1)+"}", 1), nil, ""},
}

func TestHeaders(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse(c.file)
			if c.err == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, c.err) || !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %q, must say %q", err, c.says)
			}
			// Every error must be told apart from every other.
			for _, other := range cases {
				if other.err != nil && other.err != c.err && errors.Is(err, other.err) {
					t.Errorf("matches %v, too", other.err)
				}
			}
		})
	}
}

func TestDTypes(t *testing.T) {
	const names = "BOOL F4 F6_E2M3 F6_E3M2 U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ I16 U16 F16 BF16 I32 U32 F32 C64 F64 I64 U64"
	bits := []int{8, 4, 6, 6, 8, 8, 8, 8, 8, 8, 8, 16, 16, 16, 16, 32, 32, 32, 64, 64, 64, 64}
	for i, name := range strings.Fields(names) {
		d, ok := ParseDType(name)
		if !ok || d.String() != name || d.Bits() != bits[i] || d != DType(i+1) {
			t.Errorf("%s: got %v, %d bits, number %d", name, d, d.Bits(), d)
		}
		size := 4 * bits[i] / 8
		if _, err := parse(raw("{"+entry("a", name, "[4]", 0, size)+"}", size)); err != nil {
			t.Error(err)
		}
	}
}

func TestStrings(t *testing.T) {
	h, err := parse(raw("{"+entry(`a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é`, "U8", "[1]", 0, 1)+"}", 1))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := h.tensors[0].Name, "a\"\\/\b\f\n\r\té\U0001F600é"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestManyTensors holds the cost of a header of 50,000 tensors down by counting
// allocations: one each for the tensor, its name, its shape, and few more.
func TestManyTensors(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine only: nothing for the race detector")
	}
	file := manyTensors()
	allocs := testing.AllocsPerRun(1, func() {
		if h, err := parse(file); err != nil || len(h.tensors) != 50_000 {
			t.Fatal(len(h.tensors), err)
		}
	})
	if allocs > 12*50_000 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkHeader50000(b *testing.B) {
	file := manyTensors()
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := parse(file); err != nil {
			b.Fatal(err)
		}
	}
}

func manyTensors() []byte {
	var entries []string
	for i := range 50_000 {
		entries = append(entries, entry(fmt.Sprintf("model.layers.%d.mlp.experts.17.gate_up_proj.weight", i), "BF16", "[2,1]", 4*i, 4*i+4))
	}
	return raw("{"+strings.Join(entries, ",")+"}", 4*len(entries))
}

// folder writes files and returns their folder.
func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var (
	shardA = raw("{"+entry("a", "U8", "[2]", 0, 2)+"}", 2)
	shardB = raw("{"+entry("b", "U8", "[3]", 0, 3)+","+entry("c", "U8", "[1]", 3, 4)+"}", 4)
)

func TestIndex(t *testing.T) {
	const good = `{"metadata":{"total_size":6},"weight_map":{"a":"A","b":"B","c":"B"}}`
	for _, c := range []struct {
		name, index, warning string
		err                  error
		says                 string
	}{
		{"good", good, "", nil, ""},
		{"no metadata", `{"weight_map":{"a":"A","b":"B","c":"B"}}`, "", nil, ""},
		{"wrong total_size", `{"metadata":{"total_size":7},"weight_map":{"a":"A","b":"B","c":"B"}}`, "total_size is 7, the tensors have 6 bytes", nil, ""},
		{"fractional total_size", `{"metadata":{"total_size":6.5,"x":null},"weight_map":{"a":"A","b":"B","c":"B"}}`, "6.5", nil, ""},
		{"unknown key", `{"x":[],"weight_map":{"a":"A","b":"B","c":"B"}}`, `unknown keys: "x"`, nil, ""},
		{"one shard of two", `{"weight_map":{"a":"A"}}`, "", nil, ""},
		{"path", `{"weight_map":{"a":"../A"}}`, "", ErrShardName, `tensor "a"`},
		{"absolute path", `{"weight_map":{"a":"/A"}}`, "", ErrShardName, `found "/A"`},
		{"backslash", `{"weight_map":{"a":"x\\A"}}`, "", ErrShardName, ""},
		{"parent", `{"weight_map":{"a":".."}}`, "", ErrShardName, ""},
		{"empty shard", `{"weight_map":{"a":""}}`, "", ErrShardName, ""},
		{"missing shard", `{"weight_map":{"a":"C"}}`, "", fs.ErrNotExist, `shard "C"`},
		{"missing tensor", `{"weight_map":{"a":"A","z":"A"}}`, "", ErrIndex, `tensor "z" is not in shard "A"`},
		{"tensor not listed", `{"weight_map":{"b":"B"}}`, "", ErrIndex, `tensor "c" is in shard "B", but not in weight_map`},
		{"wrong shard", `{"weight_map":{"a":"A","b":"B","c":"A"}}`, "", ErrIndex, `tensor "c" is in shard "B", weight_map says "A"`},
		{"tensor twice", `{"weight_map":{"a":"A","a":"A"}}`, "", ErrDuplicateKey, `"a"`},
		{"weight_map twice", `{"weight_map":{},"weight_map":{}}`, "", ErrDuplicateKey, `"weight_map"`},
		{"no weight_map", `{"metadata":{}}`, "", ErrJSON, "no weight_map"},
		{"null weight_map", `{"weight_map":null}`, "", ErrJSON, ""},
		{"null shard", `{"weight_map":{"a":null}}`, "", ErrJSON, `tensor "a"`},
		{"cut", good[:30], "", ErrJSON, ""},
		{"tail", good + "x", "", ErrJSON, "want the end"},
		{"empty", "", "", ErrJSON, ""},
		{"not UTF-8", "\xff", "", ErrHeaderUTF8, ""},
		{"broken shard", `{"weight_map":{"a":"broken"}}`, "", ErrFileLength, "broken"},
		{"folder as shard", `{"weight_map":{"a":"sub"}}`, "", ErrNotFile, "sub"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, map[string][]byte{indexName: []byte(c.index), "A": shardA, "B": shardB, "broken": shardA[:len(shardA)-1]})
			if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
				t.Fatal(err)
			}
			ck, err := Open(dir)
			if c.err != nil {
				if !errors.Is(err, c.err) || errors.Is(err, ErrCorrupt) != (c.err != fs.ErrNotExist) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("got %v, want %v that says %q", err, c.err, c.says)
				}
				if !strings.Contains(err.Error(), indexName) {
					t.Errorf("%q does not name the file", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			if w := strings.Join(ck.Warnings(), "\n"); !strings.Contains(w, c.warning) || (w == "") != (c.warning == "") {
				t.Errorf("warnings %q, want %q", w, c.warning)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	both := folder(t, map[string][]byte{
		singleName: raw("{"+entry("s", "U8", "[1]", 0, 1)+"}", 1),
		indexName:  []byte(`{"weight_map":{"a":"A"}}`), "A": shardA,
	})
	single := folder(t, map[string][]byte{singleName: shardB})
	for path, want := range map[string][]string{
		both:                              {"s"}, // as in transformers
		filepath.Join(both, indexName):    {"a"},
		filepath.Join(both, singleName):   {"s"},
		filepath.Join(both, "A"):          {"a"},
		single:                            {"b", "c"},
		filepath.Join(single, singleName): {"b", "c"},
	} {
		c, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Names(); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
		if (c.Warnings() != nil) != (path == both) {
			t.Errorf("%s: warnings %q", path, c.Warnings())
		}
		c.Close()
	}
	for _, path := range []string{t.TempDir(), "no such file", filepath.Join(both, "no"+indexSuffix)} {
		if _, err := Open(path); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v, want fs.ErrNotExist", path, err)
		}
	}
}

func TestRealCheckpoint(t *testing.T) {
	c, err := Open("../../testdata/stories260K")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	elems := 0
	for _, name := range c.Names() {
		x, ok := c.Tensor(name)
		if !ok || x.DType != F32 || x.NumRows()*x.RowLen() != x.NumElems() {
			t.Fatalf("%s: %+v", name, x)
		}
		elems += x.NumElems()
	}
	if elems != 260032 {
		t.Errorf("%d parameters, want 260032", elems)
	}
	files := c.Files()
	if len(files) != 1 || files[0].Size != 1044984 {
		t.Errorf("files %v", files)
	}
}
