package export

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/convert/stored"
	"qpt/format/graph"
)

// TestParams: rows of large weights that stay in their record are the numbers that the record has, whatever the strides, and those
// that cannot be read alone are held.
func TestParams(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var floats, codes bytes.Buffer
	for range 90000 {
		binary.Write(&floats, binary.LittleEndian, r.Float32())
		codes.WriteByte(byte(r.Uint32()))
	}
	pack := func(method uint16) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, data := range map[string][]byte{"archive_format": []byte("pt2"), "archive_version": []byte("0"), "byteorder": []byte("little"), "floats": floats.Bytes(), "codes": codes.Bytes()} {
			w, err := z.CreateHeader(&zip.FileHeader{Name: "r/" + name, Method: method})
			if err != nil {
				t.Fatal(err)
			}
			w.Write(data)
		}
		z.Close()
		return b.Bytes()
	}
	ints := func(list ...int) (out []symInt) {
		for _, n := range list {
			num := json.Number(fmt.Sprint(n))
			out = append(out, symInt{Int: &num})
		}
		return out
	}
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		file := pack(method)
		l, err := openZip(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name, path      string
			dtype, offset   int
			sizes, strides  []int
			permute         []int
			scaled, compact bool
		}{
			{name: "whole", sizes: []int{300, 300}, strides: []int{300, 1}, compact: true},
			{name: "view", offset: 77, sizes: []int{290, 250}, strides: []int{300, 1}, compact: true},
			{name: "last element", offset: 90000 - 66000, sizes: []int{66, 1000}, strides: []int{1000, 1}, compact: true},
			{name: "turned", sizes: []int{300, 300}, strides: []int{1, 300}},
			{name: "sparse", sizes: []int{256, 256}, strides: []int{300, 1}, permute: []int{1, 0}},
			{name: "convolution", sizes: []int{50, 150, 3, 4}, strides: []int{1800, 12, 4, 1}, permute: []int{0, 2, 3, 1}, compact: true},
			{name: "vector", sizes: []int{90000}, strides: []int{1}, compact: true},
			{name: "repeated", sizes: []int{300, 300}, strides: []int{0, 1}, compact: true},
			{name: "codes", path: "codes", dtype: 2, sizes: []int{300, 300}, strides: []int{300, 1}, scaled: true, compact: true},
			{name: "turned codes", path: "codes", dtype: 2, sizes: []int{300, 300}, strides: []int{1, 300}, scaled: true},
		} {
			record := tensorRecord{Path: "floats", Meta: tensorMeta{DType: 7, Sizes: ints(c.sizes...), Strides: ints(c.strides...), Offset: ints(c.offset)[0], Layout: 7}}
			if c.path != "" {
				record.Path, record.Meta.DType = c.path, c.dtype
			}
			k, err := l.numbers(c.name, record)
			if err != nil {
				t.Fatal(err)
			}
			scale := slices.Repeat([]float64{0.125}, c.sizes[0])
			if c.scaled {
				scale[1] = 3
				k = k.decoded(0, scale, make([]float64, len(scale)))
			}
			if c.permute != nil {
				s := k.scale
				k = k.permute(c.permute)
				k.scale = s
			}
			p := &program{params: map[string]*stored.Tensor{}, b: graph.NewBuilder()}
			p.at = "x"
			if _, err := p.paramOf(k); err != nil {
				t.Fatal(err)
			}
			x := p.tensors[0]
			if (x.Scale != nil) != c.scaled {
				t.Errorf("%s: scales %v", c.name, x.Scale)
			}
			if here := x.Numbers.(numbers).c != nil; here != (c.compact && method == zip.Store) {
				t.Errorf("%s: stays in the record: %v", c.name, here)
			}
			var want []float32
			k.each(k.offset, func(_, at int) {
				v := math.Float32frombits(binary.LittleEndian.Uint32(floats.Bytes()[4*min(at, 89999):]))
				if c.scaled {
					from := at
					if !c.compact { // decoded into memory, in order
						from = at%300*300 + at/300
					}
					v = float32(int8(codes.Bytes()[from])) * float32(scale[at/300])
				}
				want = append(want, v)
			})
			rows := k.shape[0]
			width := len(want) / rows
			for _, cut := range [][2]int{{0, rows}, {0, 1}, {rows - 1, rows}, {3, 17}, {5, 5}} {
				got := make([]float32, (cut[1]-cut[0])*width)
				if err := x.ReadRows(cut[0], cut[1], got); err != nil || !slices.Equal(got, want[cut[0]*width:cut[1]*width]) {
					t.Errorf("%s: rows %v are wrong: %v", c.name, cut, err)
				}
			}
			for _, from := range []int{0, 1, width - 1, len(want) - 1001} {
				got := make([]float32, 1001)
				if err := x.ReadPart(from, got); err != nil || !slices.Equal(got, want[from:from+1001]) {
					t.Errorf("%s: the part from %d on is wrong: %v", c.name, from, err)
				}
			}
			if x.ReadRows(0, rows+1, make([]float32, (rows+1)*width)) == nil || x.ReadPart(len(want)-1, make([]float32, 2)) == nil {
				t.Errorf("%s: more than it has is read", c.name)
			}
			if name, err := p.paramOf(k); err != nil || len(p.tensors) != 1 || name != x.Name {
				t.Errorf("%s: declared twice: %q, %v", c.name, name, err)
			}
		}
		at := bytes.Index(file, []byte("r/floats"))
		file[at+1000] ^= 1
		_, err = l.numbers("flipped", tensorRecord{Path: "floats", Meta: tensorMeta{DType: 7, Sizes: ints(300, 300), Strides: ints(300, 1), Offset: ints(0)[0], Layout: 7}})
		if !errors.Is(err, ErrArchive) {
			t.Errorf("a flipped bit in a large record: %v", err)
		}
	}
}
