package format

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"qpt/format/graph"
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

	Labels []string     `json:"labels,omitempty"` // of the classes of a classifier
	Image  *graph.Image `json:"image,omitempty"`  // how pictures become the input, of a network on images
}

// Source is one file of the checkpoint.
type Source struct {
	Name   string `json:"name"` // base name
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hex
}

// Recipe is what was asked of the converter: a recipe file (package convert)
// with every default spelled out, and what came of it.
type Recipe struct {
	Scheme      string       `json:"scheme"`
	Group       int          `json:"group,omitempty"`  // of the int4 schemes
	Compat      string       `json:"compat,omitempty"` // the tool whose codes these are, "" for none
	Inputs      string       `json:"inputs,omitempty"` // of kept codes: "exact" or "int8", "" as the checkpoint asks
	Rules       []Rule       `json:"rules,omitempty"`  // the first that applies decides, then Scheme
	Mixed       *Mixed       `json:"mixed,omitempty"`  // what the first of the rules were chosen for
	Preset      string       `json:"preset,omitempty"` // what Calibration started from
	Calibration *Calibration `json:"calibration,omitempty"`
	Activations *Activations `json:"activations,omitempty"` // of the static schemes
	Results     []Result     `json:"results,omitempty"`     // in the file's provenance only
}

// Rule gives matrices a scheme. It applies to those that fulfil all of its conditions that are not "".
type Rule struct {
	Match  string `json:"match,omitempty"`  // regular expression on the parameter's name
	Except string `json:"except,omitempty"` // regular expression that the name must not match
	Role   string `json:"role,omitempty"`   // "output": its results are the model's; "embedding": rows are looked up in it
	Scheme string `json:"scheme"`
	Group  int    `json:"group,omitempty"`  // 0: the recipe's
	Reason string `json:"reason,omitempty"` // shown beside the tensors
}

// Mixed says what rules were chosen for that give matrices different schemes. It changes nothing in a conversion.
type Mixed struct {
	Target      string  `json:"target"`       // "4.5 bits per weight"
	PredictedKL float64 `json:"predicted_kl"` // from FP32
	Calibration string  `json:"calibration"`  // SHA-256 (hex) of the data that it was measured on
}

// Calibration says how the int4 and int8 layers are rounded.
type Calibration struct {
	Algorithms []string  `json:"algorithms"`      // of package calibrate; none: to nearest
	Alpha      []float64 `json:"alpha,omitempty"` // exponents that the algorithm scales tries
	Beta       []float64 `json:"beta,omitempty"`
	Sweeps     int       `json:"sweeps,omitempty"`
	Damp       float64   `json:"damp,omitempty"`
	Samples    int       `json:"samples,omitempty"` // sequences of the calibration text at most
	Length     int       `json:"length,omitempty"`  // tokens of one at most
	Seed       uint64    `json:"seed,omitempty"`
}

// Activations says how the ranges of static activations are found.
type Activations struct {
	Observer  string `json:"observer,omitempty"`
	Symmetric bool   `json:"symmetric,omitempty"`
}

// Result is something that the conversion found, such as calib-tokens = 16384.
type Result struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Settings lists what the recipe says (but for exponents), and what came of it, as names and values.
func (r Recipe) Settings() (list []Result) {
	add := func(name string, value any) {
		if s := fmt.Sprint(value); s != "" && s != "0" && s != "[]" && s != "false" {
			list = append(list, Result{name, s})
		}
	}
	add("scheme", r.Scheme)
	add("group", r.Group)
	add("compat", r.Compat)
	add("inputs", r.Inputs)
	add("preset", r.Preset)
	if m := r.Mixed; m != nil {
		add("target", m.Target)
		add("predicted-kl", m.PredictedKL)
	}
	if c := r.Calibration; c != nil {
		add("algorithms", strings.Join(c.Algorithms, ","))
		add("sweeps", c.Sweeps)
		add("damp", c.Damp)
		add("samples", c.Samples)
		add("length", c.Length)
		add("seed", c.Seed)
	}
	if a := r.Activations; a != nil {
		add("observer", a.Observer)
		add("symmetric activations", a.Symmetric)
	}
	for _, x := range r.Rules {
		add("rule", x)
	}
	return append(list, r.Results...)
}

// String is a rule in short.
func (x Rule) String() string {
	var cond []string
	if x.Match != "" {
		cond = append(cond, x.Match)
	}
	if x.Except != "" {
		cond = append(cond, "not "+x.Except)
	}
	if x.Role != "" {
		cond = append(cond, x.Role)
	}
	s := strings.Join(cond, " and ") + "=" + x.Scheme
	if x.Group > 0 {
		s += fmt.Sprintf(":%d", x.Group)
	}
	return s
}

func (m *Meta) check() error {
	for _, s := range m.Sources {
		if !isSHA256(s.SHA256) || s.Size < 0 {
			return fmt.Errorf("%w: source %q: size %d, sha256 %q", ErrMeta, s.Name, s.Size, s.SHA256)
		}
	}
	if x := m.Recipe.Mixed; x != nil && (!isSHA256(x.Calibration) || x.Target == "" || !(x.PredictedKL >= 0)) {
		return fmt.Errorf("%w: mixed: target %q, predicted KL %g, calibration %q", ErrMeta, x.Target, x.PredictedKL, x.Calibration)
	}
	if m.Calibration != "" && !isSHA256(m.Calibration) {
		return fmt.Errorf("%w: calibration %q is not a SHA-256 in hex", ErrMeta, m.Calibration)
	}
	if im := m.Model.Image; im != nil {
		if err := im.Check(); err != nil {
			return fmt.Errorf("%w: %w", ErrMeta, err)
		}
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
	if err := decodeJSON(b, &m, ErrMeta); err != nil {
		return Meta{}, fmt.Errorf("%s: %w", f.path, err)
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
	if m.Sources == nil { // null is not part of the form
		m.Sources = []Source{}
	}
	if c := m.Recipe.Calibration; c != nil && c.Algorithms == nil {
		plain := *c
		plain.Algorithms = []string{}
		m.Recipe.Calibration = &plain
	}
	return w.writeJSON(KindMeta, m)
}
