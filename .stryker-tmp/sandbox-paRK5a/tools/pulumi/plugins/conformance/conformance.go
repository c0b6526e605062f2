// Package conformance compares a bridged provider with the npm package whose plugin it is: both must call the same input
// by the same name and give it the same shape, or the program's value is dropped without a word.
package conformance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
)

// Shape is what one input looks like to a program.
type Shape struct {
	List   bool             `json:"list"`
	Map    bool             `json:"map"`
	Fields map[string]Shape `json:"fields"`
}

// Check fails t for every input that the npm package declares and the provider lacks or shapes otherwise. interfaces
// maps "FILE.d.ts:INTERFACE" in the package to the Terraform name of a resource, or of a data source after "data.", or to
// "" for the provider itself.
func Check(t *testing.T, info tfbridge.ProviderInfo, interfaces map[string]string) {
	t.Helper()
	var npm struct{ Version string }
	if content, err := os.ReadFile(filepath.Join(packageDir(info.Name), "package.json")); err != nil {
		t.Fatalf("%v: run npm ci", err)
	} else if err := json.Unmarshal(content, &npm); err != nil {
		t.Fatal(err)
	}
	if npm.Version != info.Version {
		t.Errorf("the npm package is %s, the plugin %s", npm.Version, info.Version)
	}
	for file, name := range interfaces {
		schema, fields := lookUp(t, info, name)
		compare(t, name, declared(t, info.Name, file), Shape{Fields: shapes(schema, fields)})
	}
}

func here() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

func packageDir(name string) string {
	return filepath.Join(here(), "../../../../node_modules/@pulumi", name)
}

// declared reads an interface from the npm package.
func declared(t *testing.T, pkg, file string) Shape {
	t.Helper()
	node := exec.Command("node", filepath.Join(here(), "shapes.js"), packageDir(pkg), file)
	out, err := node.Output()
	if err != nil {
		t.Fatalf("%v: %v", node, err)
	}
	var found map[string]map[string]Shape
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	for _, fields := range found {
		return Shape{Fields: fields}
	}
	t.Fatalf("%s declares nothing", file)
	return Shape{}
}

func lookUp(t *testing.T, info tfbridge.ProviderInfo, name string) (shim.SchemaMap, map[string]*tfbridge.SchemaInfo) {
	t.Helper()
	if name == "" {
		return info.P.Schema(), info.Config
	}
	if resource, ok := info.Resources[name]; ok {
		return info.P.ResourcesMap().Get(name).Schema(), resource.Fields
	}
	if source, ok := strings.CutPrefix(name, "data."); ok && info.DataSources[source] != nil {
		return info.P.DataSourcesMap().Get(source).Schema(), info.DataSources[source].Fields
	}
	t.Fatalf("the provider has no %s", name)
	return nil, nil
}

func shapes(schema shim.SchemaMap, infos map[string]*tfbridge.SchemaInfo) map[string]Shape {
	found := map[string]Shape{}
	schema.Range(func(key string, s shim.Schema) bool {
		info := infos[key]
		shape := Shape{Map: s.Type() == shim.TypeMap}
		if s.Type() == shim.TypeList || s.Type() == shim.TypeSet {
			shape.List = !tfbridge.IsMaxItemsOne(s, info)
		}
		if elem, ok := s.Elem().(shim.Resource); ok {
			var fields map[string]*tfbridge.SchemaInfo
			if info != nil && info.Elem != nil {
				fields = info.Elem.Fields
			}
			shape.Map = false
			shape.Fields = shapes(elem.Schema(), fields)
		}
		found[tfbridge.TerraformToPulumiNameV2(key, schema, infos)] = shape
		return true
	})
	return found
}

func compare(t *testing.T, at string, want, got Shape) {
	t.Helper()
	if want.List != got.List || want.Map != got.Map || (want.Fields == nil) != (got.Fields == nil) {
		t.Errorf("%s: declared as %+v, bridged as %+v", at, want, got)
		return
	}
	for name, shape := range want.Fields {
		if bridged, ok := got.Fields[name]; !ok {
			t.Errorf("%s.%s is declared but not bridged", at, name)
		} else {
			compare(t, at+"."+name, shape, bridged)
		}
	}
}
