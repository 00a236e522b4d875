package runtime_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/format"
	"qpt/runtime"
)

// verify loads and verifies a file of these sections.
func verify(t *testing.T, list []section) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.qpt")
	check(t, os.WriteFile(path, assemble(list), 0o644))
	m, err := runtime.Load(path, runtime.Options{Threads: 2})
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Verify(t.Context())
}

// What loads may still hold numbers that other kernels would take otherwise: Verify finds them, and references and
// rewrites of another graph.
func TestVerify(t *testing.T) {
	for _, scheme := range []string{"da8w4", "da8w6", "da8w8", "f32"} {
		list := victim(t, scheme)
		check(t, verify(t, list))
		var dir struct{ Tensors []format.Tensor }
		check(t, json.Unmarshal(list[find(t, list, "tensors")].data, &dir))
		for _, x := range dir.Tensors {
			role := format.RoleSum
			if x.Format == format.F32 {
				role = format.RoleData // [Np/16][Kp][16]: beyond K = 32
			} else if x.Format == format.PlainF32 {
				continue
			}
			p, _ := x.Part(role)
			i := find(t, list, p.Section)
			data := bytes.Clone(list[i].data)
			at := p.Offset
			if role == format.RoleData {
				at += 4 * 16 * int64(x.Shape[1])
			}
			data[at]++
			if err := verify(t, replaced(list, i, data)); !errors.Is(err, format.ErrData) || !errors.Is(err, format.ErrCorrupt) || !strings.Contains(err.Error(), x.Name) {
				t.Errorf("%s, %s: %v", scheme, x.Name, err)
			}
		}
	}
	list := victim(t, "da8w8")
	refs := find(t, list, "references")
	data := bytes.Clone(list[refs].data)
	binary.LittleEndian.PutUint32(data[4:], binary.LittleEndian.Uint32(data[4:])+1)
	if err := verify(t, replaced(list, refs, data)); !errors.Is(err, format.ErrReferences) {
		t.Error(err)
	}
	var rows []byte // of an input that the graph does not have
	for _, n := range []uint32{3, 1, 1, 1, 1, 0, 'x'} {
		rows = binary.LittleEndian.AppendUint32(rows, n)
	}
	rows = append(rows[:len(rows)-3], make([]byte, 8+1)...)
	for _, n := range []uint32{1, 1, 0} {
		rows = binary.LittleEndian.AppendUint32(rows, n)
	}
	rows = append(rows, "y\x00\x00\x00\x00"...)
	if err := verify(t, replaced(list, refs, rows)); !errors.Is(err, format.ErrReferences) || !strings.Contains(err.Error(), "input 0 is not") {
		t.Error(err)
	}
	text := `{"values":[{"value":"nobody","scales":1}]}`
	doc := append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)
	list = append(list, section{kind: format.KindRewrites, name: "rewrites", data: append(doc, 0, 0, 128, 63)})
	if err := verify(t, list); !errors.Is(err, format.ErrRewrites) || !strings.Contains(err.Error(), "no such value") {
		t.Error(err)
	}
}
