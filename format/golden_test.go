package format

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// layoutSample is a file without zstd sections, so that a newer encoder cannot
// change the golden.
func layoutSample(t testing.TB, path string) {
	w, err := Create(path, WriteOptions{})
	check(t, err)
	defer w.Abort()
	ts := sampleTensors(t, w, Raw)
	b, err := json.Marshal(directory{ts})
	check(t, err)
	check(t, w.Put(KindTensors, "tensors", Raw, b))
	check(t, w.Commit())
}

func TestDumpGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.qpt")
	layoutSample(t, path)
	var got bytes.Buffer
	check(t, Dump(&got, openFile(t, path)))
	golden := filepath.Join("testdata", "layout.dump")
	if *update {
		check(t, os.MkdirAll("testdata", 0o755))
		check(t, os.WriteFile(golden, got.Bytes(), 0o644))
	}
	if want := readFile(t, golden); !bytes.Equal(got.Bytes(), want) {
		t.Errorf("layout changed (go test -update, and then spec/qpt.md and the version?):\n%s", got.Bytes())
	}
}

// TestSpecExample compares the worked example of spec/qpt.md with the writer.
func TestSpecExample(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.qpt")
	w, err := Create(path, WriteOptions{})
	check(t, err)
	defer w.Abort()
	check(t, w.Put(KindTokenizer, "tokenizer", Raw, []byte(`{"example":true}`)))
	check(t, w.Commit())
	var want strings.Builder
	b := readFile(t, path)
	for i := 0; i < len(b); i += 16 {
		text := []byte(b[i:min(i+16, len(b))])
		fmt.Fprintf(&want, "%08x  % x", i, text)
		for j, c := range text {
			if c <= ' ' || c > '~' {
				text = bytes.Clone(text)
				text[j] = '.'
			}
		}
		fmt.Fprintf(&want, "  %s\n", text)
	}
	_, rest, _ := strings.Cut(string(readFile(t, "../spec/qpt.md")), "```hex\n")
	got, _, ok := strings.Cut(rest, "```")
	if !ok || got != want.String() {
		t.Errorf("spec/qpt.md shows\n%swant\n%s", got, want.String())
	}
}

// miniRead is a reader after the text of spec/qpt.md alone; it shares nothing
// with the package. It returns the decoded sections by name.
func miniRead(b []byte) (map[string][]byte, error) {
	u32 := func(b []byte) uint64 { return uint64(binary.LittleEndian.Uint32(b)) }
	u64 := binary.LittleEndian.Uint64
	crc := func(b []byte) uint64 { return uint64(crc32.Checksum(b, crc32.MakeTable(0x82f63b78))) }
	if len(b) < 64 || string(b[:8]) != "\x89QPT\r\n\x1a\n" || u32(b[8:]) != 2 || u32(b[60:]) != crc(b[:60]) {
		return nil, fmt.Errorf("bad header")
	}
	n, at := u32(b[12:]), u64(b[24:])
	if u64(b[16:]) != 0 || u64(b[32:]) != uint64(len(b)) || at+128*n != uint64(len(b)) || u32(b[56:]) != crc(b[at:]) {
		return nil, fmt.Errorf("bad table")
	}
	out := map[string][]byte{}
	for e := b[at:]; len(e) > 0; e = e[128:] {
		stored := b[u64(e[8:]) : u64(e[8:])+u64(e[16:])]
		if crc(stored) != u32(e[36:]) || u64(e[8:])%u32(e[32:]) != 0 {
			return nil, fmt.Errorf("bad section")
		}
		data := stored
		if u32(e[4:]) == 2 && len(stored) > 0 {
			z, err := zstd.NewReader(bytes.NewReader(stored))
			if err != nil {
				return nil, err
			}
			if data, err = io.ReadAll(z); err != nil {
				return nil, err
			}
			z.Close()
		}
		if sum := sha256.Sum256(data); !bytes.Equal(sum[:], e[48:80]) || uint64(len(data)) != u64(e[24:]) {
			return nil, fmt.Errorf("bad digest")
		}
		out[strings.TrimRight(string(e[80:128]), "\x00")] = data
	}
	return out, nil
}

func TestMiniReader(t *testing.T) {
	for _, enc := range []Encoding{Raw, Zstd} {
		path := filepath.Join(t.TempDir(), "m.qpt")
		sample(t, path, enc, 0)
		secs, err := miniRead(readFile(t, path))
		check(t, err)
		if len(secs) != 10 {
			t.Fatalf("%d sections, want 10", len(secs))
		}
		var dir map[string][]map[string]any
		check(t, json.Unmarshal(secs["tensors"], &dir))
		norm := dir["tensors"][1]["parts"].([]any)[0].(map[string]any)
		off, size := int(norm["offset"].(float64)), int(norm["size"].(float64))
		if got := secs[norm["section"].(string)][off : off+size]; !bytes.Equal(got, fill(20, 10)) {
			t.Errorf("tensor %v: % x", dir["tensors"][1]["name"], got)
		}
		const refs = "01000000 03000000 01000000 01000000 02000000" + "06000000 04000000 02000000" + "68c3a96c6c6f" +
			"00000000 02000000 01000000 01000000" + "00000000 02000000" +
			"0000000000000240 000000000000f43f" + "00004040 0000803f" +
			"02000000 01000000 01000000 02000000" + "00004040 00000040 0000803f 0000803f" +
			"00000000 02000000 01000000" + "02000000 02000000" + "00000000" +
			"000000000000e8bf" + "000000c0" + "00000000 01000000" + "c2160100 000080bf"
		if got := hex.EncodeToString(secs["references"]); got != strings.ReplaceAll(refs, " ", "") {
			t.Errorf("references: %s", got)
		}
	}
}
