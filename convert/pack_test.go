package convert

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	nlp "github.com/nlpodyssey/safetensors"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
	"qpt/format"
	"qpt/internal/num"
	"qpt/kernels/linear"
	"qpt/kernels/quant"
)

// inFile writes v [n, k] as one tensor "w" of a checkpoint.
func inFile(t *testing.T, dtype safetensors.DType, n, k int, v []float32) *safetensors.Tensor {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	var b []byte
	for _, x := range v {
		if dtype == safetensors.BF16 {
			b = binary.LittleEndian.AppendUint16(b, num.BF16(x))
		} else {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	}
	d, err := nlp.ParseDType(dtype.String())
	if err != nil {
		t.Fatal(err)
	}
	view, err := nlp.NewTensorView(d, []uint64{uint64(n), uint64(k)}, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := safetensors.WriteFile(path, map[string]nlp.TensorView{"w": view}, nil); err != nil {
		t.Fatal(err)
	}
	c, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	x, _ := c.Tensor("w")
	return x
}

// only is the source of one tensor.
type only struct{ t *safetensors.Tensor }

func (s only) ReadRows(_ string, r0, r1 int, dst []float32) error {
	return readFinite(stored.PlainTensor(s.t.Name, s.t), r0, r1, dst)
}

// pack packs all blocks of a weight in the given format.
func pack(src *safetensors.Tensor, f linear.Format) (*linear.Weight, error) {
	w := linear.NewWeight(f, src.Shape[0], src.Shape[1], 32)
	for i := range w.Data { // must all be written
		w.Data[i] = 0xa5
	}
	p := worker{name: src.Name, src: only{src}, stored: src, q: quant.NewQuantizer(w.K, quant.Options{})}
	for b := range w.Blocks() {
		if _, err := p.block(w, b, 16*b); err != nil {
			return nil, err
		}
	}
	return w, nil
}

var packFormats = []linear.Format{linear.F32, linear.BF16, linear.I8, linear.I6, linear.I4}

// TestPackBF16: rows straight from bfloat16 give what the same numbers in float32 give.
func TestPackBF16(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range [][2]int{{1, 2}, {16, 32}, {33, 67}, {40, 172}, {16, 1024}} {
		n, k := s[0], s[1]
		v := make([]float32, n*k)
		for i := range v {
			v[i] = num.FromBF16(num.BF16(float32(rng.NormFloat64())))
		}
		for _, f := range packFormats {
			got, err := pack(inFile(t, safetensors.BF16, n, k, v), f)
			if err != nil {
				t.Fatal(err)
			}
			want, err := pack(inFile(t, safetensors.F32, n, k, v), f)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Groups, want.Groups) || !bytes.Equal(num.BytesOf(got.Scale), num.BytesOf(want.Scale)) {
				t.Errorf("%v [%d, %d]: bfloat16 differs from float32", f, n, k)
			}
		}
	}
}

// TestPackRefuses: numerics N2.4, and a file that shrank.
func TestPackRefuses(t *testing.T) {
	const n, k = 33, 68
	for _, dtype := range []safetensors.DType{safetensors.BF16, safetensors.F32} {
		for _, f := range packFormats {
			for _, bad := range []struct {
				v    float32
				want string
			}{
				{float32(math.NaN()), "value 67 of row 31 is NaN"}, {float32(math.Inf(-1)), "value 67 of row 31 is -Inf"},
				{0x1p65, "squares of one of the rows 16 to 31"},
			} {
				v := make([]float32, n*k)
				v[32*k-1] = bad.v
				_, err := pack(inFile(t, dtype, n, k, v), f)
				if float := f == linear.F32 || f == linear.BF16; float && bad.v == 0x1p65 {
					if err != nil {
						t.Errorf("%v from %v: %v", f, dtype, err)
					}
				} else if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), `tensor "w"`) || !strings.Contains(err.Error(), bad.want) {
					t.Errorf("%v from %v, %v: error %v", f, dtype, bad.v, err)
				}
			}
			src := inFile(t, dtype, n, k, make([]float32, n*k))
			if err := os.Truncate(src.File(), 1000); err != nil {
				t.Fatal(err)
			}
			if _, err := pack(src, f); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), src.File()) {
				t.Errorf("%v from a truncated %v: error %v", f, dtype, err)
			}
		}
	}
}

// TestStreamFails: a failure of the writer is told and blocks nobody.
func TestStreamFails(t *testing.T) {
	w, err := format.Create(filepath.Join(t.TempDir(), "x.qpt"), format.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	s := newStream(w, format.Raw)
	s.begin("a")
	for range 100 {
		s.putBuffer(s.buffer(10), true)
		s.put(format.RoleData, make([]byte, 10))
	}
	s.end()
	if err := s.close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
}
