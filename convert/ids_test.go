package convert

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/calibrate"
	"qpt/convert/hf"
	"qpt/convert/safetensors"
	"qpt/runtime/lm/corpus"
)

// tensorFile is a .safetensors file of tensors with these values (or zeros), as name:dtype:shape.
func tensorFile(t testing.TB, tensors ...any) []byte {
	t.Helper()
	header, data := []string{}, []byte{}
	for i := 0; i < len(tensors); i += 2 {
		part := strings.Split(tensors[i].(string), ":")
		dtype, ok := safetensors.ParseDType(part[1])
		var shape []int
		if err := json.Unmarshal([]byte(part[2]), &shape); err != nil || !ok {
			t.Fatal(tensors[i], err)
		}
		begin, n := len(data), 1
		for _, v := range tensors[i+1].([]int) {
			data = append(data, binary.LittleEndian.AppendUint64(nil, uint64(v))[:dtype.Bits()/8]...)
		}
		for _, d := range shape {
			n *= d
		}
		data = append(data, make([]byte, begin+n*dtype.Bits()/8-len(data))...)
		header = append(header, fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, part[0], part[1], part[2], begin, len(data)))
	}
	text := "{" + strings.Join(header, ",") + "}"
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text+string(data)...)
}

func TestIDRows(t *testing.T) {
	model := &hf.Model{Type: "llama", Vocab: 300}
	zeros := []int(nil)
	six := []int{1, 2, 3, 4, 5, 6}
	long := strings.Repeat("n", 1<<16)
	for _, c := range []struct {
		want    string // rows, or the error
		tensors []any
	}{
		{"[[1 2 3] [4 5 6]]", []any{"input_ids:I64:[2,3]", six}},
		{"[[1 2 3 4 5 6]]", []any{"input_ids:I32:[6]", six}},
		{"[[299] [0]]", []any{"tokens:U16:[2,1]", []int{299, 0}}},
		{"[[1 2 3] [4 5 6]]", []any{"input_ids:U8:[2,3]", six, "labels:I64:[2,3]", []int{-100}, "a:I8:[]", zeros}},
		{"[[1 2] [6] []]", []any{"input_ids:I16:[3,3]", []int{1, 2, 3, 4, 5, 6, 7, 8, 9}, "attention_mask:I64:[3,3]", []int{1, 1, 0, 0, 0, 1, 0, 0, 0}}},
		{"[[1 3] [5 6]]", []any{"attention_mask:BOOL:[2,3]", []int{1, 0, 1, 0, 1, 1}, "ids:U64:[2,3]", six}},
		{"[[1 2]]", []any{"input_ids:I64:[1,4]", []int{1, 2, -1, 1 << 40}, "attention_mask:U8:[1,4]", []int{1, 1, 0, 0}}}, // what is no token may be anything

		{`tensor "input_ids": row 1, column 2: token id 300: must be below 300`, []any{"input_ids:I64:[2,3]", []int{1, 2, 3, 4, 5, 300}}},
		{`row 0, column 1: token id -1: must be below 300`, []any{"input_ids:I8:[1,2]", []int{1, -1}}},
		{`row 0, column 0: token id 4294967297: must be below 300`, []any{"input_ids:I64:[1]", []int{1<<32 + 1}}},
		{`row 0, column 0: token id 9223372036854775807: must be below`, []any{"input_ids:U64:[1]", []int{-1}}},
		{`row 0, column 0: token id 4294967295: must be below`, []any{"input_ids:U32:[1]", []int{-1}}},

		{`tensor "pixel_values" F32 [64 3 224 224] holds images, but this model (llama) takes token ids: give input_ids as integers`, []any{"pixel_values:F32:[64,3,224,224]", zeros}},
		{`tensor "pixel_values" U8 [2 3 4 4] holds images, but`, []any{"input_ids:I64:[2,3]", six, "pixel_values:U8:[2,3,4,4]", zeros}},
		{`tensor "inputs_embeds" BF16 [2 3 8] holds no integers, but this model (llama) takes token ids`, []any{"inputs_embeds:BF16:[2,3,8]", zeros}},
		{`tensor "input_ids" F32 [2 3] holds no integers`, []any{"input_ids:F32:[2,3]", zeros}},
		{`tensor "input_ids" BOOL [2 3] holds no integers`, []any{"input_ids:BOOL:[2,3]", zeros}},
		{`tensor "x": dtype has no float32 values: F8_E4M3`, []any{"x:F8_E4M3:[2]", zeros}},
		{`has no tensor of token ids: give input_ids as integers, [samples, length]`, nil},
		{`has no tensor of token ids`, []any{"attention_mask:I64:[2,3]", zeros}},
		{`which tensor holds the token ids, "a" or "b"? name it input_ids`, []any{"a:I64:[2,3]", six, "b:I64:[2,3]", six}},
		{`tensor "input_ids" I64 [1 2 3]: token ids are [samples, length] or [length]`, []any{"input_ids:I64:[1,2,3]", six}},
		{`tensor "input_ids" I64 []: token ids are [samples, length] or [length]`, []any{"input_ids:I64:[]", []int{1}}},
		{`tensor "input_ids" I64 [0] holds nothing`, []any{"input_ids:I64:[0]", zeros}},
		{`holds nothing`, []any{"input_ids:I64:[1099511627776,0]", zeros}},
		{`holds nothing`, []any{"input_ids:I64:[0,1099511627776]", zeros}},
		{`at most 1048576 rows and 67108864 token ids are read: give fewer`, []any{"input_ids:U8:[1048577,1]", zeros}},
		{`tensor "attention_mask" I64 [3 2]: must be integers of the shape of tensor "input_ids" I64 [2 3]`, []any{"input_ids:I64:[2,3]", six, "attention_mask:I64:[3,2]", zeros}},
		{`tensor "attention_mask" F32 [2 3]: must be integers`, []any{"input_ids:I64:[2,3]", six, "attention_mask:F32:[2,3]", zeros}},
		{`tensor "attention_mask": row 0, column 1: 2, must be 0 or 1`, []any{"input_ids:I64:[2,3]", six, "attention_mask:I64:[2,3]", []int{1, 2}}},
		{`tensor "nnnnn`, []any{long + ":F32:[2,3]", zeros}},
		{`which tensor holds the token ids`, []any{long + ":I64:[2,3]", zeros, "x:I64:[2,3]", zeros}},
		{`tensor "input_ids" I64 [1 1 1`, []any{"input_ids:I64:[1" + strings.Repeat(",1", 1<<16) + "]", zeros}},
	} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		rows, err := idRows(path, tensorFile(t, c.tensors...), model)
		if strings.HasPrefix(c.want, "[") {
			if fmt.Sprint(rows) != c.want || err != nil {
				t.Errorf("%.100q: %v, %v, want %s", c.tensors, rows, err, c.want)
			}
		} else if err == nil || !strings.HasPrefix(err.Error(), path) || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 1000 {
			t.Errorf("%.100q: %.1000v, want %q", c.tensors, err, c.want)
		}
	}
}

// Whatever a file holds, it gives documents within the vocabulary or an error that counts as bad input.
func TestHostileIDs(t *testing.T) {
	sound := tensorFile(t, "input_ids:I16:[2,3]", []int{1, 2, 3, 4, 5, 6}, "attention_mask:U8:[2,3]", []int{1, 1, 1, 1, 1})
	path := filepath.Join(t.TempDir(), "x.safetensors")
	try := func(data []byte) error {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		seqs, _, err := calibrate.Text(context.Background(), path, calibrate.TextOptions{Reader: corpus.NewReader(nil, 300), BOS: 1, Samples: 9, Length: 9,
			Tensors: func(path string, file []byte) ([][]int32, error) {
				return idRows(path, file, &hf.Model{Type: "llama", Vocab: 300})
			}})
		for _, ids := range seqs {
			for _, id := range ids {
				if id < 0 || id >= 300 {
					t.Errorf("token %d of %q", id, data)
				}
			}
		}
		if err != nil && (!errors.Is(err, calibrate.ErrText) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%q: %v", data, err)
		}
		return err
	}
	if err := try(sound); err != nil {
		t.Fatal(err)
	}
	for n := range sound {
		if try(sound[:n]) == nil {
			t.Errorf("cut to %d bytes it is read", n)
		}
		for _, b := range []byte{0, 0xff, sound[n] ^ 1, '9', '"'} {
			data := bytes.Clone(sound)
			data[n] = b
			try(data)
		}
	}
	try(append(sound, 0))
	try(nil)
}

// Rows calibrate as the same ids do in lines.
func TestCalibrateOnTensors(t *testing.T) {
	dir := t.TempDir()
	ids, lines := []int{}, ""
	for r := range 5 {
		row := []int{1}
		for k := range 7 {
			row = append(row, (31*r+17*k)%500+3)
		}
		ids = append(ids, row...)
		text, err := json.Marshal(map[string]any{"ids": row[1:]})
		if err != nil {
			t.Fatal(err)
		}
		lines += string(text) + "\n"
	}
	tensors, list := filepath.Join(dir, "ids.safetensors"), filepath.Join(dir, "ids.jsonl")
	if err := os.WriteFile(tensors, tensorFile(t, "input_ids:I64:[5,8]", ids), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string][32]byte{tensors: sha256.Sum256(tensorFile(t, "input_ids:I64:[5,8]", ids)), list: sha256.Sum256([]byte(lines))}
	var seqs [2][][]int32
	for i, calib := range []string{tensors, list} {
		p, err := MakePlan(Options{In: "../testdata/stories260K", Scheme: "da8w4", Calib: calib, CalibSamples: 3, CalibLength: 8, Seed: 4, Out: filepath.Join(dir, "m.qpt")})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		text, err := p.calibrationText(t.Context(), Hooks{}, p.Recipe.Calibration)
		if err != nil {
			t.Fatal(err)
		}
		seqs[i] = text.seqs
		if p.sum != fmt.Sprintf("%x", want[calib]) {
			t.Errorf("%s: digest %s", calib, p.sum)
		}
	}
	if len(seqs[0]) != 3 || len(seqs[0][0]) != 8 || fmt.Sprint(seqs[0]) != fmt.Sprint(seqs[1]) {
		t.Errorf("tensors give %v, lines %v", seqs[0], seqs[1])
	}
	if _, err := MakePlan(Options{In: "../testdata/stories260K", Scheme: "da8w4", Calib: dir, Out: tensors}); !errors.Is(err, ErrUsage) {
		t.Errorf("the output is the calibration file: %v", err)
	}
}
