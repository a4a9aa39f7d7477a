# A provider of Vagrant whose machines are files: what a folder does as machines come and go, where there is no
# hypervisor. A machine runs while `running` is in its data directory, and that says which networks it was given.
require "json"

class StandIn < Vagrant.plugin("2", :provider)
  # What an action of Vagrant does to a machine.
  class Step
    def initialize(app, _env, effect)
      @app = app
      @effect = effect
    end

    def call(env)
      @effect.call(env[:machine])
      @app.call(env)
    end
  end

  START = lambda do |machine|
    machine.id ||= machine.name.to_s
    networks = machine.config.vm.networks.select { |kind, _| kind == :private_network }
    given = networks.map { |_, options| options.reject { |name, _| %i[id protocol].include?(name) } }
    File.write(machine.data_dir.join("running"), JSON.pretty_generate(given) + "\n")
  end

  EFFECTS = {
    up: START,
    reload: START,
    halt: ->(machine) { FileUtils.rm_f(machine.data_dir.join("running")) },
    destroy: ->(machine) { FileUtils.rm_f(machine.data_dir.join("running")); machine.id = nil },
  }.freeze

  def initialize(machine)
    @machine = machine
  end

  def action(name)
    effect = EFFECTS[name]
    effect && Vagrant::Action::Builder.new.tap { |builder| builder.use(Step, effect) }
  end

  def state
    id = @machine.id.nil? ? :not_created : running? ? :running : :off
    Vagrant::MachineState.new(id, id.to_s, id.to_s)
  end

  private

  def running?
    File.exist?(@machine.data_dir.join("running"))
  end
end

Class.new(Vagrant.plugin("2")) do
  name "stand-in"
  provider(:stand_in) { StandIn }
end
