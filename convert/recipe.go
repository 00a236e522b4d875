package convert

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"qpt/calibrate"
	"qpt/format"
	"qpt/internal/strictjson"
	"qpt/kernels/linear"
)

// Presets are the built-in recipes, cheapest first.
var Presets = []string{"fast", "balanced", "best"}

// Schemes are the names of the quantization schemes.
var Schemes = linear.SchemeNames()

// Preset returns a built-in recipe: how to calibrate, without a scheme.
func Preset(name string) (*format.Recipe, bool) {
	c := &format.Calibration{Algorithms: []string{"scales", "gptq", "descent", "correct"}, Alpha: slices.Clone(calibrate.DefaultAlpha), Beta: slices.Clone(calibrate.DefaultBeta), Sweeps: 4, Damp: 0.01, Samples: 64, Length: 256}
	switch name {
	case "fast":
		c = &format.Calibration{Algorithms: []string{}}
	case "balanced":
	case "best":
		c.Algorithms = append(c.Algorithms, "bias")
		c.Sweeps, c.Samples = 16, 128
	default:
		return nil, false
	}
	return &format.Recipe{Preset: name, Calibration: c}, true
}

// ReadRecipe reads a recipe file: a format.Recipe as JSON or, by the name's
// ending .yaml or .yml, as YAML. Keys that it does not give are those of its
// preset, and where there is none, of Options. Errors of what the file says match
// ErrUsage and name the line.
func ReadRecipe(path string) (*format.Recipe, error) {
	data, err := readRecipe(path)
	if err != nil {
		return nil, err
	}
	if isYAML(path) {
		data, err = yamlToJSON(data)
	}
	var r *format.Recipe
	if err == nil {
		r, err = parseRecipe(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUsage, path, err)
	}
	return r, nil
}

// WriteRecipe writes a recipe file for ReadRecipe.
func WriteRecipe(path string, r *format.Recipe) error {
	data, err := EncodeRecipe(r, isYAML(path))
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o666)
}

// EncodeRecipe returns the text of a recipe file, JSON or YAML.
func EncodeRecipe(r *format.Recipe, asYAML bool) ([]byte, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil && asYAML {
		return recipeYAML(data)
	}
	return append(data, '\n'), err
}

func parseRecipe(data []byte) (*format.Recipe, error) {
	if err := (strictjson.Rules{Fields: reflect.TypeFor[format.Recipe](), NoNull: true, Lines: true}).Check(data); err != nil {
		return nil, err
	}
	decode := func(r *format.Recipe) error {
		err := json.Unmarshal(data, r)
		if e := (*json.UnmarshalTypeError)(nil); errors.As(err, &e) {
			want := strings.NewReplacer("slice", "array", "struct", "object").Replace(e.Type.Kind().String())
			return fmt.Errorf("line %d: %s: found %s, want %s", strictjson.Line(data, int(e.Offset)), cmp.Or(e.Field, "the document"), e.Value, want)
		}
		return err
	}
	var r format.Recipe
	if err := decode(&r); err != nil {
		return nil, err
	}
	if r.Results != nil {
		return nil, fmt.Errorf("results are what a conversion found, not what it is asked for: remove the key")
	}
	if r.Preset == "" {
		return &r, nil
	}
	base, ok := Preset(r.Preset)
	if !ok {
		return nil, unknownPreset(r.Preset)
	}
	return base, decode(base)
}

func unknownPreset(name string) error {
	return fmt.Errorf("preset %q is unknown, want one of %s", name, strings.Join(Presets, ", "))
}

// recipe is what the options ask for, complete: the settings that name one,
// then Options.Recipe, then the preset. Nothing after it looks at those settings.
func (o *Options) recipe() (*format.Recipe, error) {
	r := &format.Recipe{}
	if o.Recipe != nil {
		*r = *o.Recipe
	}
	set(&r.Scheme, o.Scheme)
	set(&r.Group, o.Group)
	set(&r.Compat, o.Compat)
	set(&r.Inputs, o.Inputs)
	if r.Group == 0 {
		r.Group = 32
	}
	scheme, err := linear.ParseScheme(r.Scheme)
	if err != nil {
		return nil, err
	}
	if err := checkGroup(r.Group); err != nil {
		return nil, err
	}
	if r.Compat != "" && r.Compat != "torchao" {
		return nil, fmt.Errorf("compat %q is unknown, want torchao", r.Compat)
	}
	if r.Inputs != "" && !slices.Contains(KeptInputs, r.Inputs) {
		return nil, fmt.Errorf("inputs %q of kept codes are unknown, want %s", r.Inputs, strings.Join(KeptInputs, " or "))
	}
	if err := o.rules(r, scheme); err != nil {
		return nil, err
	}
	return r, o.calibration(r)
}

// set replaces a setting by another that is given.
func set[T comparable](dst *T, v T) {
	var none T
	if v != none {
		*dst = v
	}
}

const (
	outputReason    = "output layer: int8 keeps the ranking of tokens"
	embeddingReason = "embedding table: int8 rows"
	routerReason    = "router: a choice of experts that flips changes a token altogether"
)

// rules puts the rules of the options before those of the recipe, and behind
// them int8 for the embedding table and the output layer, unless it has rules for them.
func (o *Options) rules(r *format.Recipe, scheme linear.Scheme) error {
	var list []format.Rule
	for _, ov := range o.Overrides {
		name, group, found := strings.Cut(ov.Scheme, ":")
		rule := format.Rule{Match: ov.Match, Scheme: name, Reason: "override"}
		if found {
			var err error
			if rule.Group, err = strconv.Atoi(group); err != nil || rule.Group == 0 {
				return fmt.Errorf("override %s: group %q is not a number", ov.Match, group)
			}
		}
		list = append(list, rule)
	}
	kept := "bf16"
	if scheme.Name == "f32" {
		kept = "f32"
	}
	if o.Exclude != "" {
		list = append(list, format.Rule{Match: o.Exclude, Scheme: kept, Reason: "excluded"})
	}
	if o.Include != "" {
		list = append(list, format.Rule{Except: o.Include, Scheme: kept, Reason: "not included"})
	}
	r.Rules = slices.Concat(list, r.Rules)
	if scheme.Bits <= 8 {
		for _, rule := range []format.Rule{
			{Role: "output", Scheme: "a16w8", Reason: outputReason},
			{Role: "embedding", Scheme: "a16w8", Reason: embeddingReason},
		} {
			if !slices.ContainsFunc(r.Rules, func(x format.Rule) bool { return x.Role == rule.Role && x.Match == "" && x.Except == "" }) {
				r.Rules = append(r.Rules, rule)
			}
		}
	}
	return nil
}

// calibration completes how the recipe rounds weights and finds static ranges.
func (o *Options) calibration(r *format.Recipe) error {
	if o.Preset != "" || r.Calibration == nil {
		set(&r.Preset, o.Preset)
		if r.Preset == "" {
			if r.Preset = "fast"; o.Calib != "" || o.Algorithms != "" {
				r.Preset = "balanced"
			}
		}
		base, ok := Preset(r.Preset)
		if !ok {
			return unknownPreset(r.Preset)
		}
		r.Calibration = base.Calibration
	}
	c := *r.Calibration
	r.Calibration = &c
	if o.Algorithms != "" {
		if r.Preset == "fast" {
			return fmt.Errorf("preset fast has no algorithms: leave it out to have %s", o.Algorithms)
		}
		c.Algorithms = strings.Split(o.Algorithms, ",")
	}
	if c.Algorithms == nil {
		c.Algorithms = []string{}
	}
	if err := new(calibrate.Options).Enable(c.Algorithms...); err != nil {
		return err
	}
	if !slices.Contains(c.Algorithms, "descent") {
		c.Sweeps = 0
	}
	if !slices.Contains(c.Algorithms, "scales") {
		c.Alpha, c.Beta = nil, nil
	}
	for _, e := range slices.Concat(c.Alpha, c.Beta) {
		if !(e >= 0 && e <= 1) {
			return fmt.Errorf("calibration: exponent %g of channel scales, want 0 to 1", e)
		}
	}
	set(&c.Samples, o.CalibSamples)
	set(&c.Length, o.CalibLength)
	set(&c.Seed, o.Seed)
	if r.Compat != "" && len(c.Algorithms) > 0 {
		return fmt.Errorf("--compat %s gives that tool's codes, so it cannot be calibrated", r.Compat)
	}
	if o.Calib == "" && !o.Sensitivity && !calibrate.NeedText(c.Algorithms) {
		c.Samples, c.Length, c.Damp = 0, 0, 0
		if !slices.Contains(c.Algorithms, "rotate") {
			c.Seed = 0
		}
	} else {
		if c.Samples == 0 {
			c.Samples = 64
		}
		if c.Length == 0 {
			c.Length = 256
		}
		switch {
		case r.Compat != "":
			return fmt.Errorf("--compat %s gives that tool's codes, so it cannot be calibrated", r.Compat)
		case c.Samples < 1 || c.Length < 2:
			return fmt.Errorf("%d calibration samples of %d tokens: too few", c.Samples, c.Length)
		case !(c.Damp >= 0 && c.Damp <= 1) || c.Sweeps < 0:
			return fmt.Errorf("calibration: damp %g and %d sweeps, want 0 to 1 and not less than 0", c.Damp, c.Sweeps)
		}
	}
	if o.Observer != "" || o.Symmetric {
		a := format.Activations{}
		if r.Activations != nil {
			a = *r.Activations
		}
		set(&a.Observer, o.Observer)
		set(&a.Symmetric, o.Symmetric)
		r.Activations = &a
	}
	return nil
}

func calibrationName(r *format.Recipe) string {
	if r.Preset != "" {
		return "preset " + r.Preset
	}
	return "the recipe's calibration"
}

// rule is a format.Rule ready for use.
type rule struct {
	format.Rule
	match, except *regexp.Regexp
	scheme        linear.Scheme
	used          bool // a name fulfilled what the rule asks of names
}

// compileRules checks the rules of a recipe.
func compileRules(r *format.Recipe) ([]*rule, error) {
	var list []*rule
	for i, f := range r.Rules {
		c := &rule{Rule: f}
		wrong := func(err error) error {
			return fmt.Errorf("%w: %s: %w", ErrUsage, c.name(i), err)
		}
		for _, re := range []struct {
			text string
			to   **regexp.Regexp
		}{{f.Match, &c.match}, {f.Except, &c.except}} {
			if re.text == "" {
				continue
			}
			var err error
			if *re.to, err = regexp.Compile(re.text); err != nil {
				return nil, wrong(err)
			}
		}
		var err error
		if c.scheme, err = linear.ParseScheme(f.Scheme); err != nil {
			return nil, wrong(err)
		}
		if c.Group == 0 {
			c.Group = r.Group
		}
		if err := checkGroup(c.Group); err != nil {
			return nil, wrong(err)
		}
		switch {
		case f.Role != "" && f.Role != "output" && f.Role != "embedding":
			return nil, wrong(fmt.Errorf("role %q is unknown, want output or embedding", f.Role))
		case f.Role == "" && f.Match == "" && f.Except == "":
			return nil, wrong(fmt.Errorf("it has no condition: give match, except or role"))
		}
		if c.Reason == "" {
			c.Reason = "rule"
		}
		list = append(list, c)
	}
	return list, nil
}

// name is what messages call rule i: by the flag that it came from, if any.
func (r *rule) name(i int) string {
	switch {
	case r.Reason == "override" || r.Reason == "excluded" && r.Except == "":
		return fmt.Sprintf("%s %q", strings.TrimSuffix(r.Reason, "d"), r.Match)
	case r.Reason == "not included" && r.Match == "":
		return fmt.Sprintf("include %q", r.Except)
	}
	return fmt.Sprintf("rule %d (%s)", i+1, strings.Join(slices.DeleteFunc([]string{r.Match, r.Except, r.Role}, func(s string) bool { return s == "" }), ", "))
}

// applies tells whether the rule decides on a parameter.
func (r *rule) applies(name string, output, embedding bool) bool {
	if r.match != nil && !r.match.MatchString(name) {
		return false
	}
	if r.except != nil && r.except.MatchString(name) {
		r.used = true
		return false
	}
	if r.except == nil || r.match != nil {
		r.used = true
	}
	return r.Role == "" || r.Role == "output" && output || r.Role == "embedding" && embedding
}

// readRecipe reads a file that people write.
func readRecipe(path string) ([]byte, error) {
	const limit = 1 << 20
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() { // reading a pipe might wait for ever
		return nil, fmt.Errorf("%w: %s is no regular file", ErrInput, path)
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are read", ErrInput, path, st.Size(), limit)
	}
	return os.ReadFile(path)
}
