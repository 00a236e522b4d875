package safetensors

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	nlp "github.com/nlpodyssey/safetensors"
)

// stricter are the cases of read_test.go that package nlp takes and this package refuses, with the reason.
var stricter = map[string]string{
	"invalid UTF-8 in a name": "nlp changes the name, other readers do otherwise",
	"null":                    "the format wants an object",
	"null metadata":           "the format wants an object",
	"tensor twice":            "nlp keeps the last, other readers the first",
	"field twice":             "as above",
	"metadata key twice":      "as above",
	"metadata twice":          "as above",
}

// laxer are those that this package takes and package nlp refuses.
var laxer = map[string]string{
	"four of 6 bits": "nlp has no FP8, FP6, FP4 and C64, and then reads no tensor of the file",
	"unknown fields": "the reference implementation ignores them; here they give a warning",
}

// Both readers give one answer, but for the cases listed above.
func TestAgainstNLP(t *testing.T) {
	differ := map[string]bool{}
	for _, c := range cases {
		h, err := parse(c.file)
		_, _, theirs := nlp.ReadMetadata(c.file)
		switch {
		case err != nil && theirs == nil:
			if differ[c.name] = true; stricter[c.name] == "" {
				t.Errorf("%s: nlp takes it; here: %v", c.name, err)
			}
		case err == nil && theirs != nil:
			if differ[c.name] = true; laxer[c.name] == "" {
				t.Errorf("%s: nlp: %v", c.name, theirs)
			}
		case err == nil:
			if err := sameAsNLP(c.file, h); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	if len(differ) != len(stricter)+len(laxer) {
		t.Errorf("the readers differ on %d cases, %d are listed", len(differ), len(stricter)+len(laxer))
	}
}

// sameAsNLP holds what package nlp reads of a file that is sound against h; it may refuse dtypes and fields that it does not know.
func sameAsNLP(file []byte, h *header) error {
	n, m, err := nlp.ReadMetadata(file)
	if err != nil {
		lacks := h.unknown != nil || slices.ContainsFunc(h.tensors, func(t *Tensor) bool {
			_, err := nlp.ParseDType(t.DType.String())
			return err != nil
		})
		if lacks {
			return nil
		}
		return fmt.Errorf("nlp: %w", err)
	}
	if !maps.Equal(m.Metadata(), h.metadata) {
		return fmt.Errorf("nlp: metadata %q, want %q", m.Metadata(), h.metadata)
	}
	tensors := m.Tensors()
	if len(tensors) != len(h.tensors) {
		return fmt.Errorf("nlp: %d tensors, want %d", len(tensors), len(h.tensors))
	}
	for _, t := range h.tensors {
		got := tensors[t.Name]
		if got == nil {
			return fmt.Errorf("nlp: no tensor %q", t.Name)
		}
		shape := strings.ReplaceAll(fmt.Sprint(got.Shape), " ", ",")
		want := strings.ReplaceAll(fmt.Sprint(t.Shape), " ", ",")
		if got.DType.String() != t.DType.String() || shape != want || int64(got.DataOffsets[0]+n)+8 != t.off || int64(got.DataOffsets[1]-got.DataOffsets[0]) != t.size {
			return fmt.Errorf("nlp: %q: %v %s %v, want %v %s, %d bytes at %d", t.Name, got.DType, shape, got.DataOffsets, t.DType, want, t.size, t.off)
		}
	}
	return nil
}
