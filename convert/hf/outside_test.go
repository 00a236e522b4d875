package hf

import (
	"fmt"
	"strings"
	"testing"
)

// A family that does not convert is refused by name with why, and none of those that convert is said not to.
func TestOutside(t *testing.T) {
	for _, f := range families {
		if why := outside[f.Type]; why != "" {
			t.Errorf("%s converts, and does not: %s", f.Type, why)
		}
	}
	for kind, why := range outside {
		_, err := Parse(fmt.Appendf(nil, `{"model_type":%q}`, kind), nil)
		if _, wrapped := wrappers[kind]; wrapped || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("model_type: %q: %s", kind, why)) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if _, err := Parse([]byte(`{"model_type":"unheard_of"}`), nil); err == nil || !strings.Contains(err.Error(), `model_type: "unheard_of"; qconv families`) {
		t.Error(err)
	}
}
