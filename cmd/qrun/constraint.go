package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"qpt/internal/cli"
	"qpt/runtime/lm"
	"qpt/runtime/lm/constrain"
)

// constraintFlags keep a text within a language.
type constraintFlags struct {
	schema, grammar string // files
	regex           string
	choice          []string
	spec            *constrain.Spec // after read; nil: none
}

func (c *constraintFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&c.schema, "json-schema", "", "write JSON that is valid under the JSON Schema in `FILE`")
	f.StringVar(&c.regex, "regex", "", "write a text that this `EXPRESSION` matches wholly")
	f.StringArrayVar(&c.choice, "choice", nil, "write this `TEXT`, or one of several (repeatable)")
	f.StringVar(&c.grammar, "grammar", "", "write a text of the grammar in `FILE`, in the notation of llama.cpp (GBNF)")
}

// read finds what is asked for, before any work.
func (c *constraintFlags) read(f *pflag.FlagSet) error {
	var spec constrain.Spec
	given := 0
	for _, name := range []string{"json-schema", "regex", "choice", "grammar"} {
		if !f.Changed(name) {
			continue
		}
		given++
		var err error
		var text []byte
		switch name {
		case "json-schema":
			spec.Schema, err = os.ReadFile(c.schema)
		case "grammar":
			text, err = os.ReadFile(c.grammar)
			spec.Grammar = string(text)
		case "regex":
			spec.Regex = c.regex
		case "choice":
			spec.Choice = c.choice
		}
		if err != nil {
			return fmt.Errorf("--%s: %w", name, err)
		}
		c.spec = &spec
	}
	if given > 1 {
		return fmt.Errorf("%w: give one of --json-schema, --regex, --choice, --grammar", cli.ErrUsage)
	}
	return nil
}

// start begins a text, nil without a constraint.
func (c *constraintFlags) start(m *lm.Model) (lm.Constraint, error) {
	if c.spec == nil {
		return nil, nil
	}
	cache, err := m.Constraints()
	if err != nil {
		return nil, err
	}
	g, err := cache.Compile(*c.spec)
	if errors.Is(err, constrain.ErrSpec) {
		return nil, fmt.Errorf("%w: %w", cli.ErrUsage, err)
	} else if err != nil {
		return nil, err
	}
	return g.Start(), nil
}
