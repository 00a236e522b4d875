package quantized

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// oracle holds checkpoints as other tools write them, with the weights that they stand for.
const oracle = "../../../shared/oracle/import"

func quantization(t *testing.T, dir string) (where string, config []byte) {
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"quantization_config", "quantization"} {
		if keys[key] != nil {
			return "config.json: " + key, keys[key]
		}
	}
	t.Fatal("no quantization")
	return "", nil
}

// compare holds the weights of a checkpoint against the SHA-256 of what they have to be.
func compare(t *testing.T, c *stored.Checkpoint, name string, shape []int, sum string) {
	x, ok := c.Tensor(name)
	if !ok {
		t.Fatalf("%s is missing", name)
	}
	got := make([]float32, x.Values())
	if err := x.ReadPart(0, got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(shape, x.Shape) {
		got = turn(got, x.Shape)
	}
	var b []byte
	for _, v := range got {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	if have := fmt.Sprintf("%x", sha256.Sum256(b)); have != sum {
		t.Errorf("%s (%s): other values than the golden ones", name, x.Type)
	}
	// Rows one by one, from behind, are the same.
	k := x.Shape[len(x.Shape)-1]
	row, all := make([]float32, k), make([]float32, x.Values())
	if err := x.ReadPart(0, all); err != nil {
		t.Fatal(err)
	}
	for r := len(all)/k - 1; r >= 0; r-- {
		if err := x.ReadRows(r, r+1, row); err != nil || !slices.Equal(row, all[r*k:(r+1)*k]) {
			t.Fatalf("%s: row %d alone differs (%v)", name, r, err)
		}
	}
}

// TestModules: a module or two of every kind of checkpoint, as the tools wrote them (testdata/gen/cut.py), to the bit.
func TestModules(t *testing.T) {
	for name, m := range modules(t) {
		t.Run(name, func(t *testing.T) {
			from, err := safetensors.Open("testdata/modules/" + name + ".safetensors")
			if err != nil {
				t.Fatal(err)
			}
			c, err := m.open(name, from)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for name, w := range m.Weights {
				compare(t, c, name, w.Shape, w.SHA256)
			}
		})
	}
}

// cutModule is an entry of testdata/modules/index.json.
type cutModule struct {
	Config  json.RawMessage
	QMap    json.RawMessage // optimum-quanto's, in the place of a config
	Weights map[string]struct {
		Shape  []int
		SHA256 string
	}
}

func (m cutModule) open(where string, from *safetensors.Checkpoint) (c *stored.Checkpoint, err error) {
	if m.QMap != nil {
		c, _, err = OpenQuanto(where, m.QMap, from, func(name string) []int { return m.Weights[name].Shape })
	} else {
		c, _, err = Open(where, m.Config, from)
	}
	return c, err
}

func modules(t testing.TB) map[string]cutModule {
	data, err := os.ReadFile("testdata/modules/index.json")
	if err != nil {
		t.Fatal(err)
	}
	var list map[string]cutModule
	if err := json.Unmarshal(data, &list); err != nil || len(list) < 91 {
		t.Fatalf("%d modules: %v", len(list), err)
	}
	return list
}

// TestOracle: every weight of every checkpoint of the oracle to the bit.
func TestOracle(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine only: nothing for the race detector")
	}
	dirs, _ := filepath.Glob(filepath.Join(oracle, "*", "model.safetensors"))
	if len(dirs) == 0 {
		t.Skip("no folder ../shared/oracle/import beside the repository")
	}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			golden := filepath.Join(dir, "dequant.safetensors.gz")
			if strings.HasSuffix(dir, "ct-w8a8-dyn-asym") {
				golden = filepath.Join(oracle, "ct-w8a8-dyn", "dequant.safetensors.gz")
			}
			want, err := safetensors.Open(unzipped(t, golden))
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			from, err := safetensors.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			where, config := quantization(t, dir)
			c, _, err := Open(where, config, from)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, name := range want.Names() {
				w, _ := want.Tensor(name)
				b, err := w.Bytes()
				if err != nil {
					t.Fatal(err)
				}
				compare(t, c, name, w.Shape, fmt.Sprintf("%x", sha256.Sum256(b)))
			}
		})
	}
}

// turn is [e, n, k] as [e, k, n].
func turn(v []float32, shape []int) []float32 {
	out := make([]float32, len(v))
	n, k := shape[1], shape[2]
	for i, x := range v {
		e, r, c := i/(n*k), i/k%n, i%k
		out[e*n*k+c*n+r] = x
	}
	return out
}

func unzipped(t *testing.T, path string) string {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "dequant.safetensors")
	if err := os.WriteFile(out, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}
