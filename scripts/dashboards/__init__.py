"""The Grafana dashboards as declarations; `make docs` writes them to deploy/grafana."""
