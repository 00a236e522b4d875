package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"qpt/format"
)

// Files with a mistake, and what is said about it. The names decide on JSON or YAML.
func TestBadRecipes(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"r.json", "{\"scheme\": \"da8w4\",\n\"shceme\": 1}", `line 2: unknown field "shceme"`},
		{"r.json", "{\"calibration\": {\n\n\"grup\": 1}}", `line 3: unknown field "calibration.grup"`},
		{"r.json", `{"rules": [{}, {"samples": 1}]}`, `line 1: unknown field "rules[1].samples"`},
		{"r.json", `{"Scheme": "da8w4"}`, `line 1: unknown field "Scheme"`},
		{"r.json", "{\n\"group\": 16,\n\"group\": 32}", `line 3: key "group" appears twice`},
		{"r.json", "{\n\"group\": null}", "line 2: null in group"},
		{"r.json", "{\n\"group\": \"16\"\n}", "line 2: group: found string, want int"},
		{"r.json", "{\n\"group\": 16\n", "line 3: unexpected end of JSON input"},
		{"r.json", "scheme: da8w4", "line 1: invalid character 's'"},

		{"r.yaml", "", "the document is empty"},
		{"r.yaml", "# nothing\n", "the document is empty"},
		{"r.yaml", "---\n", "null in the document"},
		{"r.yaml", "scheme: x\n---\nscheme: y\n", "line 2: a second document begins: a file has one"},
		{"r.yaml", "scheme: x\n--- *q\n", "line 2: yaml: unknown anchor"},
		{"r.yaml", "x", "line 1: the document: found string, want object"},
		{"r.yaml", "- a\n", "line 1: the document: found array, want object"},

		// The rules of JSON.
		{"r.yml", "scheme: a\n# x\nscheme: b\n", `line 3: key "scheme" appears twice`},
		{"r.YAML", "scheme: a\nrules:\n- match: 'x'\n  rolle: output\n", `line 4: unknown field "rules[0].rolle"`},
		{"r.yaml", "scheme: a\nrules:\n- match: 'x'\n  role:\n  group: 16\n", "line 4: null in rules[0].role"},
		{"r.yaml", "scheme: ~\n", "line 1: null in scheme"},
		{"r.yaml", "group: 1.5\n", "line 1: group: found number 1.5, want int"},
		{"r.yaml", "group: '16'\n", "line 1: group: found string, want int"},
		{"r.yaml", "scheme: 16\n", "line 1: scheme: found number, want string"},
		{"r.yaml", "rules:\n  match: x\n", "line 2: rules: found object, want array"},
		{"r.yaml", "calibration:\n  seed: 18446744073709551616\n", "line 2: calibration.seed: found number 18446744073709551616, want uint64"},
		{"r.yaml", "results: []\n", "results are what a conversion found"},
		{"r.yaml", "preset: huge\n", `preset "huge" is unknown`},
		{"r.yaml", strings.Repeat("[", 40) + strings.Repeat("]", 40), "nested deeper than 32"},

		// What YAML readers do not read alike.
		{"r.yaml", "activations:\n  symmetric: yes\n", "line 2: activations.symmetric: found string, want bool"},
		{"r.yaml", "activations: {symmetric: on}\n", "line 1: activations.symmetric: found string, want bool"},
		{"r.yaml", "activations: {symmetric: True}\n", `line 1: "True" means something else to other readers: write numbers, true and false as in JSON, put text in quotes`},
		{"r.yaml", "group: 010\n", `line 1: "010" means something else`},
		{"r.yaml", "group: 0x10\n", `line 1: "0x10" means something else`},
		{"r.yaml", "group: 1_6\n", `line 1: "1_6" means something else`},
		{"r.yaml", "calibration:\n  damp: .5\n", `line 2: ".5" means something else`},
		{"r.yaml", "calibration:\n  damp: .inf\n", `line 2: ".inf" means something else`},
		{"r.yaml", "rules: [{reason: 2026-01-31}]\n", `line 1: "2026-01-31" means something else`},
		{"r.yaml", "scheme: !!str a\n", `line 1: tags are not taken: remove "!!str"`},
		{"r.yaml", "scheme: &a da8w4\n", "line 1: anchors and aliases are not taken: write the value out"},
		{"r.yaml", "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "line 1: anchors and aliases are not taken"},
		{"r.yaml", "<<: {scheme: a}\n", `line 1: unknown field "<<"`},
		{"r.yaml", "[a]: b\n", "line 1: a key is a list or mapping: keys are text"},

		// Syntax.
		{"r.yaml", "rules:\n- match: *.down\n", "line 2: yaml: unknown anchor"},
		{"r.yaml", "rules:\n- match: [0-9]+\n", "line 2: yaml: did not find expected"},
		{"r.yaml", "rules:\n- match: \"a\\.b\"\n", "line 2: yaml: found unknown escape character"},
		{"r.yaml", "\tscheme: x\n", "line 1: yaml: found character that cannot start any token"},
		{"r.yaml", "scheme: x\n  group: 16\n", "line 2: yaml: mapping values are not allowed"},
		{"r.yaml", "scheme: x\nrules: [{match: x}\n", "line 3: yaml: did not find expected ',' or ']'"},
		{"r.yaml", "%YAML 3.0\n---\nscheme: x\n", "line 1: yaml: found incompatible YAML document"},
		{"r.yaml", "scheme: x\nrules: \x01\n", `line 2: character "\x01" is not taken: write it as an escape in double quotes`},
		{"r.yaml", "\ufeffscheme: x\n", `line 1: character "\ufeff" is not taken`},
		{"r.yaml", "scheme: \xff\n", "yaml is not valid UTF-8"},
		{"r.yaml", strings.Repeat("[", 20000), "line 1: yaml: exceeded max depth"},
		{"r.yaml", strings.Repeat("- ", 20000), "line 1: yaml: exceeded max depth"},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadRecipe(path); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), path+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %.60q: %v, want %q", c.name, c.text, err, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "r.yaml")
	if err := os.WriteFile(path, bytes.Repeat([]byte("# long\n"), 1<<18), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRecipe(path); !errors.Is(err, ErrInput) {
		t.Errorf("a file of 1.8 MB: %v", err)
	}
}

// The JSON says the same, in the same lines, digit for digit.
func TestYAMLToJSON(t *testing.T) {
	for _, c := range []struct{ yaml, json string }{
		{"# first\n\nscheme: da8w4 # the default\ngroup: 16\n", "\n\n{\"scheme\":\"da8w4\",\n\"group\":16}"},
		{"damp: 0.010\nalpha: [1e-2, 1E+3,\n  -0.50]\n", "{\"damp\":0.010,\n\"alpha\":[1e-2,1E+3,\n-0.50]}"},
		{"- match: 'layers\\.[0-9]+\\.mlp'\n  except: \"a\\\\.b\"\n- it''s\n- 'it''s'\n- ^down_proj\\.weight$\n", "[{\"match\":\"layers\\\\.[0-9]+\\\\.mlp\",\n\"except\":\"a\\\\.b\"},\n\"it''s\",\n\"it's\",\n\"^down_proj\\\\.weight$\"]"},
		{"a: |\n  x\n  y\nb: >-\n  x\n  y\nc: 'x\n\n  y'\nd: e\n", "{\"a\":\"x\\ny\\n\",\n\n\n\"b\":\"x y\",\n\n\n\"c\":\"x\\ny\",\n\n\n\"d\":\"e\"}"},
		{"[yes, no, on, off, y, 'true', true, \"5\", 5]", `["yes","no","on","off","y","true",true,"5",5]`},
		{"{\"a\": [true, null, {}], 5: {}}", `{"a":[true,null,{}],"5":{}}`},
		{"a:\nb: ~\n", "{\"a\":null,\n\"b\":null}"},
		{"a: 1\n...\n", `{"a":1}`},
		{"[0, -0, 1e5, 1E-5, 0.0, -1.5e+10, 18446744073709551616]", "[0,-0,1e5,1E-5,0.0,-1.5e+10,18446744073709551616]"},
	} {
		got, err := yamlToJSON([]byte(c.yaml))
		if string(got) != c.json || err != nil || !json.Valid(got) {
			t.Errorf("%q:\n%q, %v, want\n%q", c.yaml, got, err, c.json)
		}
	}
}

// Every recipe reads back from YAML as from JSON: unchanged, where it names no preset to fill in.
func TestRecipeRoundTrip(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SampledFrom([]string{"yes", "~", "null", "010", "1e-2", "-", "a: b", "# c", " x ", "x\ny\n", "'", "\"", "!!str", "&a", "*a", "%", "@", "---", "...", "<<", "2026-01-31", `\.[0-9]+$`, "\u2028", "a\u0085b", "\ufeff", "\x7f", "\uffff", "f\u00fcr", "\x7f\u0085\u2028\ufeff\uffff\x00\r"})
		text := rapid.OneOf(rapid.String(), words, rapid.Just("")).Draw
		floats := rapid.SliceOfN(rapid.Float64(), 0, 3)
		var r format.Recipe
		r.Scheme, r.Group, r.Compat = text(t, "scheme"), rapid.Int().Draw(t, "group"), text(t, "compat")
		r.Preset = rapid.SampledFrom(append([]string{""}, Presets...)).Draw(t, "preset")
		for range rapid.IntRange(0, 3).Draw(t, "rules") {
			r.Rules = append(r.Rules, format.Rule{Match: text(t, "match"), Except: text(t, "except"), Role: text(t, "role"), Scheme: text(t, "scheme"), Group: rapid.Int().Draw(t, "group"), Reason: text(t, "reason")})
		}
		if rapid.Bool().Draw(t, "calibration") {
			r.Calibration = &format.Calibration{Algorithms: append([]string{}, rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "algorithms")...), Sweeps: rapid.Int().Draw(t, "sweeps"), Damp: rapid.Float64().Draw(t, "damp"), Seed: rapid.Uint64().Draw(t, "seed")}
			r.Calibration.Alpha = append(r.Calibration.Alpha, floats.Draw(t, "alpha")...)
		}
		if rapid.Bool().Draw(t, "activations") {
			r.Activations = &format.Activations{Observer: text(t, "observer"), Symmetric: rapid.Bool().Draw(t, "symmetric")}
		}
		var got [2]*format.Recipe
		for i, name := range []string{"r.json", "r.yaml"} {
			path := filepath.Join(dir, name)
			if err := WriteRecipe(path, &r); err != nil {
				t.Fatal(err)
			}
			var err error
			if got[i], err = ReadRecipe(path); err != nil {
				data, _ := os.ReadFile(path)
				t.Fatalf("%v\n%s", err, data)
			}
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			t.Fatalf("YAML says otherwise than JSON: %s", diff)
		}
		if diff := cmp.Diff(&r, got[1]); r.Preset == "" && diff != "" {
			t.Fatalf("not what was written: %s", diff)
		}
	})
}

// Whatever is taken is JSON, and what the library makes of it by itself.
func FuzzYAMLToJSON(f *testing.F) {
	f.Add([]byte("scheme: da8w4\nrules:\n- {match: 'a\\.b', group: 16}\n- role: output\ncalibration:\n  alpha: [0.010, 1e-2]\n"))
	f.Add([]byte("! 10"))
	f.Add([]byte("a: |\n  x\nb: \"\\u00e9\\n\"\n? c\n: >-\n  d\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<12 {
			return
		}
		text, err := yamlToJSON(data)
		if err != nil {
			return
		}
		var got, want any
		if !json.Valid(text) {
			t.Fatalf("%q is no JSON", text)
		}
		if json.Unmarshal(text, &got) != nil {
			return // 1e999
		}
		if bytes.Contains(text, []byte("<<")) || yaml.Load(data, &want) != nil {
			return // the library merges, or refuses keys
		}
		again, err := json.Marshal(want)
		if err != nil {
			return // keys that are no text
		}
		want = nil
		if err := json.Unmarshal(again, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	})
}
