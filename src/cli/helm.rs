//! Charts, which `helm template` renders on this machine before anything is planned.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cluster::Cluster;
use crate::cluster::Cni;
use crate::cluster::cni::CiliumSource;
use crate::config::File;
use crate::config::manifest;
use crate::host::Command;
use crate::host::Host as _;
use crate::host::local::Local;
use crate::kube::objects::chart;
use crate::kube::objects::cilium;
use crate::kube::yaml;
use serde_json::Value;
use std::time::Duration;

/// A chart may come over the network.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Lets helm render the charts of the pod network and of the add-ons.
///
/// # Errors
/// There is no helm, it refuses, or something that comes of it is no API object.
pub(super) fn render(cluster: &mut Cluster) -> Result<(), CliError> {
    cilium_chart(cluster)?;
    let version = format!("v{}", cluster.version.0);
    for addon in &mut cluster.site.addons {
        let name = addon.name.clone();
        let Some(chart) = addon.chart_mut() else { continue };
        let arguments = chart::helm_arguments(&name, chart, &version);
        let values = yaml::to_string(&Value::Object(chart.values.clone()));
        // They may hold passwords, so that they are in no message.
        let hint = "install helm on this machine; or render the chart elsewhere with `helm template`, and name the result \
                    under spec.addons.manifests";
        let what = format!("the chart {} of the add-on {name}", chart.chart);
        chart.rendered = template(arguments, values, &what, hint)?;
    }
    Ok(())
}

fn cilium_chart(cluster: &mut Cluster) -> Result<(), CliError> {
    let Cni::Cilium(cilium) = &cluster.site.cni else { return Ok(()) };
    let CiliumSource::Chart { chart, .. } = &cilium.source else { return Ok(()) };
    let arguments = cilium::helm_arguments(cluster, cilium, chart);
    let values = yaml::to_string(&cilium::values(cluster, cilium));
    let by_hand = format!(
        "install helm on this machine; or render it elsewhere, with `{}` and these values on its standard input, and name \
         the result: manifest: {{file: PATH}}\n{values}",
        Command::query("helm").args(&arguments)
    );
    let objects = template(arguments, values, &format!("the chart {chart} of Cilium"), &by_hand)?;
    if let Cni::Cilium(cilium) = &mut cluster.site.cni
        && let CiliumSource::Chart { rendered, .. } = &mut cilium.source
    {
        *rendered = objects;
    }
    Ok(())
}

/// The objects of a chart; the values go over standard input.
fn template(arguments: Vec<String>, values: String, what: &str, hint: &str) -> Result<Vec<Value>, CliError> {
    let command = Command::query("helm").args(arguments).stdin(values).timeout(TIMEOUT);
    let output = match Local::new("this host").run(&command) {
        Err(error) => {
            let error = anyhow::Error::new(error).context(format!("helm is to render {what}"));
            return Err(CliError::new(Exit::Configuration, error).hint(hint.to_owned()));
        }
        Ok(output) => output,
    };
    if !output.success() {
        let error = anyhow::anyhow!("helm cannot render {what}:\n{}", output.error_tail());
        return Err(CliError::new(Exit::Configuration, error));
    }
    let name = format!("what helm has rendered of {what}");
    let file = File { name: &name, bytes: &output.stdout };
    manifest::objects(file).map_err(|issues| load::refused(&issues))
}
