package format

import (
	"encoding/hex"
	"fmt"
	"slices"
)

// Meta says where a file comes from. It holds no time and no machine, so that
// the same inputs give the same bytes; order in lists is kept.
type Meta struct {
	Tool        string    `json:"tool"` // program and version that wrote the file
	Model       ModelInfo `json:"model"`
	Sources     []Source  `json:"sources"` // files read, in order of reading
	Recipe      Recipe    `json:"recipe"`
	Calibration string    `json:"calibration,omitempty"` // SHA-256 (hex) of the calibration data, "" when none was used
}

// ModelInfo is what reports and generation want to know of the model; its mathematics is all in the graph.
type ModelInfo struct {
	Name         string `json:"name"`
	Architecture string `json:"architecture"`  // "LlamaForCausalLM"
	Parameters   int64  `json:"parameters"`    // values in the source's tensors, tied ones once
	Context      int    `json:"context"`       // longest sequence the model was made for
	BOS          int    `json:"bos"`           // token put before a text, -1 for none
	EOS          []int  `json:"eos,omitempty"` // tokens that end a text
}

// Source is one file of the checkpoint.
type Source struct {
	Name   string `json:"name"` // base name
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hex
}

// Recipe is what was asked of the converter.
type Recipe struct {
	Scheme    string     `json:"scheme"`
	Options   []Option   `json:"options,omitempty"`
	Overrides []Override `json:"overrides,omitempty"` // the first match decides
}

// Option is one setting that shaped the weights, such as group=32.
type Option struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Override gives the tensors whose names match a regular expression another scheme.
type Override struct {
	Match  string `json:"match"`
	Scheme string `json:"scheme"`
}

func (m *Meta) check() error {
	for _, s := range m.Sources {
		if !isSHA256(s.SHA256) || s.Size < 0 {
			return fmt.Errorf("%w: source %q: size %d, sha256 %q", ErrMeta, s.Name, s.Size, s.SHA256)
		}
	}
	if m.Calibration != "" && !isSHA256(m.Calibration) {
		return fmt.Errorf("%w: calibration %q is not a SHA-256 in hex", ErrMeta, m.Calibration)
	}
	if x := m.Model; x.Parameters < 0 || x.Context < 0 || x.BOS < -1 || slices.ContainsFunc(x.EOS, func(t int) bool { return t < 0 }) {
		return fmt.Errorf("%w: parameters %d, context %d, bos %d, eos %v", ErrMeta, x.Parameters, x.Context, x.BOS, x.EOS)
	}
	return nil
}

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && hex.EncodeToString(b) == s // lower case
}

// Meta reads the section "meta".
func (f *File) Meta() (Meta, error) {
	b, err := f.read(KindMeta)
	if err != nil {
		return Meta{}, err
	}
	var m Meta
	if err := decodeJSON(b, &m); err != nil {
		return Meta{}, fmt.Errorf("%s: %w: %w", f.path, ErrMeta, err)
	}
	if err := m.check(); err != nil {
		return Meta{}, fmt.Errorf("%s: %w", f.path, err)
	}
	return m, nil
}

// WriteMeta writes the section "meta".
func (w *Writer) WriteMeta(m Meta) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return w.writeJSON(KindMeta, m)
}
